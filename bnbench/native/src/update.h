/* Updates of parameters from their gradients. */

#ifndef UPDATE_H
#define UPDATE_H

#include <tgmath.h>

#include "turn.h"

/* What an update needs to know beside the gradient. */
typedef struct {
    REAL lr, momentum, decay, rate, root, beta1, beta2, eps;
    int nesterov;
} Rates;

INLINE Rates rates_of(const Turn *turn, const Parameter *parameter) {
    const Job *job = turn->job;
    const Rates rates = {
        turn->lr, job->momentum[turn->lane], parameter->decays ? job->decay[turn->lane] : 0, turn->rate, turn->root,
        (REAL)job->beta1, (REAL)job->beta2, (REAL)job->eps, job->nesterov,
    };
    return rates;
}

/* One number's update as of torch.optim.SGD; velocity is null without momentum. */
INLINE void descend(REAL *value, REAL *velocity, REAL gradient, Rates rates) {
    REAL slope = gradient + rates.decay * *value;
    if (velocity) {
        *velocity = rates.momentum * *velocity + slope;
        slope = rates.nesterov ? slope + rates.momentum * *velocity : *velocity;
    }
    *value -= rates.lr * slope;
}

/* One number's update as of torch.optim.Adam, or AdamW, whose decay is no part of the gradient. */
INLINE void adapt(const int rule, REAL *value, REAL *mean, REAL *square, REAL gradient, Rates rates) {
    if (rule == ADAMW)
        *value *= 1 - rates.lr * rates.decay;
    else
        gradient += rates.decay * *value;
    *mean += (1 - rates.beta1) * (gradient - *mean);
    *square = rates.beta2 * *square + (1 - rates.beta2) * gradient * gradient;
    *value -= rates.rate * *mean / (sqrt(*square) / rates.root + rates.eps);
}

/* Updates count numbers of a parameter, from the first on. */
static void update(const Turn *turn, const Parameter *parameter, Size first, Size count, const REAL *restrict gradient) {
    const Rates rates = rates_of(turn, parameter);
    const Size at = turn->lane * parameter->size + first;
    REAL *restrict values = parameter->values + at, *restrict one = parameter->state[0], *restrict other = parameter->state[1];
    if (one) one += at;
    if (other) other += at;
    switch (turn->job->rule) {
        case ADAM: for (Size i = 0; i < count; i++) adapt(ADAM, values + i, one + i, other + i, gradient[i], rates); break;
        case ADAMW: for (Size i = 0; i < count; i++) adapt(ADAMW, values + i, one + i, other + i, gradient[i], rates); break;
        default:
            if (one)
                for (Size i = 0; i < count; i++) descend(values + i, one + i, gradient[i], rates);
            else
                for (Size i = 0; i < count; i++) descend(values + i, 0, gradient[i], rates);
    }
}

#endif
