/* A lane at one step. */

#ifndef STEP_CONTEXT_H
#define STEP_CONTEXT_H

#include "job.h"

/* For a layer, beside its input. */
typedef struct {
    const Job *job;
    Size lane, batch, step;
    REAL lr, rate, root; /* rate and root: of Adam, lr and the means of squares being corrected for their beginning */
    const REAL *images;  /* with their channels last */
} StepContext;

INLINE REAL *scratch_at(const StepContext *context, Size place) { return context->job->scratch + place; }

/* The output of a layer, or the images. */
INLINE const REAL *output_of(const StepContext *context, int32_t index) {
    return index == NONE ? context->images : scratch_at(context, context->job->layer[index].output);
}

INLINE REAL *values_of(const StepContext *context, const Parameter *parameter) {
    return parameter->size ? parameter->values + context->lane * parameter->size : 0;
}

#endif
