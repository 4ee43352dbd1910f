/* Training without Python: a lane makes all its steps, then the next one does, so that its weights stay in the cache. */

#include <time.h>

#include "graph.h"
#include "layers.h"

/* The losses [batch] of logits [batch, classes], and the gradient of their mean. */
static void cross_entropy(const Turn *turn, const REAL *logits, const int64_t *y, REAL *losses, REAL *gradient) {
    const Size classes = turn->job->classes;
    const REAL even = (REAL)(turn->job->smoothing / classes), own = (REAL)(1 - turn->job->smoothing);
    for (Size example = 0; example < turn->batch; example++) {
        const REAL *z = logits + example * classes;
        REAL *slope = gradient + example * classes, most = z[0], total = 0, loss = 0;
        for (Size k = 1; k < classes; k++) most = z[k] > most ? z[k] : most;
        for (Size k = 0; k < classes; k++) total += slope[k] = exp(z[k] - most);
        const REAL normalizer = log(total) + most;
        for (Size k = 0; k < classes; k++) {
            const REAL wanted = even + (k == y[example] ? own : 0);
            if (wanted != 0) loss += wanted * (normalizer - z[k]);
            slope[k] = (slope[k] / total - wanted) / turn->batch;
        }
        losses[example] = loss;
    }
}

/* Adds the time since start to a layer's, if that is wanted, and returns the time. */
static double mark(const Job *job, Size layer, int way, double start) {
    struct timespec time;
    if (!job->seconds) return 0;
    clock_gettime(CLOCK_MONOTONIC, &time);
    const double now = (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
    if (start > 0) job->seconds[2 * layer + way] += now - start;
    return now;
}

static void make_step(const Turn *turn, const int64_t *y, REAL *losses, REAL *logits) {
    const Job *job = turn->job;
    const Layer *last = &job->layer[job->layers - 1];
    for (Size index = 0; index < job->layers; index++) {
        const double start = mark(job, index, 0, 0);
        forward(turn, &job->layer[index]);
        mark(job, index, 0, start);
    }
    memcpy(logits, room(turn, last->output), turn->batch * job->classes * sizeof(REAL));
    cross_entropy(turn, logits, y, losses, slot(turn, last->gradient));
    for (Size index = job->layers - 1; index >= 0; index--) {
        const double start = mark(job, index, 1, 0);
        if (job->layer[index].learns) backward(turn, &job->layer[index]);
        mark(job, index, 1, start);
    }
}

/* Makes the steps of a job, whose scratch memory plan has divided. */
void train(const Job *job) {
    for (Size lane = 0; lane < job->lanes; lane++) {
        for (Size step = 0; step < job->steps; step++) {
            const Size at = step * job->lanes + lane, first = at * job->batch;
            const REAL *images = job->x + first * job->channels * job->positions;
            const double made = (double)(job->done + step + 1), rate = job->lr[at] / (1 - pow(job->beta1, made));
            Turn turn = {job, lane, job->batch, job->lr[at], (REAL)rate, (REAL)sqrt(1 - pow(job->beta2, made)), images};
            if (job->channels > 1 && job->positions > 1) {
                turn_images(job->batch, job->channels, job->positions, images, job->scratch + job->input);
                turn.images = job->scratch + job->input;
            }
            make_step(&turn, job->y + first, job->losses + first, job->logits + first * job->classes);
        }
    }
}
