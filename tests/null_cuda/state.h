// What all parts of the null runtime share: settings, counters, allocations and captures.
//
// Device memory is host memory that nobody writes to, kernels do nothing, and all that is read from a device is 0. What is
// launched, copied, allocated, waited for and captured is what torch asks for, and captures have the rules of real ones.
#pragma once
#include <cstddef>
#include <cuda_runtime_api.h>
#include <map>
#include <mutex>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

constexpr cudaError_t ASSERTED = cudaErrorAssert;
constexpr int MOST_DEVICES = 16;

// A number of the environment, NULL_CUDA_<name>.
size_t setting(const char *name, size_t otherwise);
int device_count();
int current_device();

extern std::recursive_mutex guard;
using Locked = std::lock_guard<std::recursive_mutex>;

// Keeps an error for cudaGetLastError and returns it.
cudaError_t failed(cudaError_t error);
// Whether an assert in a kernel has spoiled this process: every call fails from then on.
bool spoiled();
// Refuses what is not allowed while any stream of the process is capturing; the captures are of no use then.
cudaError_t refused_by_captures();

void count(const char *counter, long more = 1);
// A kernel, copy or memset: part of a capture, or done at once.
void launched(cudaStream_t stream);

bool is_capturing(cudaStream_t stream);
bool anything_captures();
