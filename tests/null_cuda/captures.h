// Captures of streams into graphs.
#pragma once
#include "state.h"

// Adds a node to the capture of a stream; false if it has none.
bool captured(cudaStream_t stream);
void invalidate_captures();
