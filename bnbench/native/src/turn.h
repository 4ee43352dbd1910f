/* A lane at one step. */

#ifndef TURN_H
#define TURN_H

#include "graph.h"

/* What a layer needs to know beside its input. */
typedef struct {
    const Job *job;
    Size lane, batch;
    REAL lr, rate, root; /* rate and root: of Adam, lr and the means of squares being corrected for their beginning */
    const REAL *images;  /* with their channels last */
} Turn;

INLINE REAL *room(const Turn *turn, Size place) { return turn->job->scratch + place; }

/* What a layer put out, or the images. */
INLINE const REAL *output_of(const Turn *turn, int32_t index) {
    return index == NONE ? turn->images : room(turn, turn->job->layer[index].output);
}

INLINE REAL *values_of(const Turn *turn, const Parameter *parameter) {
    return parameter->size ? parameter->values + turn->lane * parameter->size : 0;
}

#endif
