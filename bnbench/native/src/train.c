/* Training without Python: a lane makes all its steps, then the next one does, so that its weights stay in the cache.
*/

#include <time.h>

#include "layers.h"
#include "layout.h"
#include "memory_plan.h"

/* The losses [batch] of logits [batch, labels, classes], each the mean over its labels, and the gradient of their mean.
*/
static void cross_entropy(const StepContext *context, const REAL *logits, const int64_t *y, REAL *losses,
                          REAL *gradient) {
    const Size classes = context->job->classes, labels = context->job->labels, count = context->batch * labels;
    const REAL even = (REAL)(context->job->smoothing / classes), on_label = (REAL)(1 - context->job->smoothing);
    memset(losses, 0, context->batch * sizeof(REAL));
    for (Size row = 0; row < count; row++) {
        const REAL *z = logits + row * classes;
        REAL *slope = gradient + row * classes, most = z[0], total = 0, loss = 0;
        for (Size k = 1; k < classes; k++) most = z[k] > most ? z[k] : most;
        for (Size k = 0; k < classes; k++) total += slope[k] = exp(z[k] - most);
        const REAL normalizer = log(total) + most;
        for (Size k = 0; k < classes; k++) {
            const REAL wanted = even + (k == y[row] ? on_label : 0);
            if (wanted != 0) loss += wanted * (normalizer - z[k]);
            slope[k] = (slope[k] / total - wanted) / count;
        }
        losses[row / labels] += loss / labels;
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

/* What the last layer puts out for the images of a step. */
static void put_out(const StepContext *context, REAL *logits) {
    const Job *job = context->job;
    for (Size index = 0; index < job->layers; index++) {
        const double start = mark(job, index, 0, 0);
        forward(context, &job->layer[index]);
        mark(job, index, 0, start);
    }
    memcpy(logits, scratch_at(context, job->layer[job->layers - 1].output),
           context->batch * job->labels * job->classes * sizeof(REAL));
}

static void make_step(const StepContext *context, const int64_t *y, REAL *losses, REAL *logits) {
    const Job *job = context->job;
    const Layer *last = &job->layer[job->layers - 1];
    put_out(context, logits);
    cross_entropy(context, logits, y, losses, slot(context, last->gradient));
    for (Size index = job->layers - 1; index >= 0; index--) {
        const double start = mark(job, index, 1, 0);
        if (job->layer[index].needs_grad) backward(context, &job->layer[index]);
        mark(job, index, 1, start);
    }
}

/* Images as layers take them: with their channels last. */
static const REAL *images_of(const Job *job, const REAL *images) {
    if (job->channels == 1 || job->positions == 1) return images;
    transpose_images(job->batch, job->channels, job->positions, images, job->scratch + job->input);
    return job->scratch + job->input;
}

/* Makes the steps of a job, whose scratch memory plan has divided. */
void train(const Job *job) {
    for (Size lane = 0; lane < job->lanes; lane++) {
        for (Size step = 0; step < job->steps; step++) {
            const Size at = step * job->lanes + lane, first = at * job->batch;
            const double number = (double)(job->steps_before + step + 1), rate = job->lr[at] / (1 - pow(job->beta1,
                number));
            const StepContext context = {job, lane, job->batch, step, job->lr[at], (REAL)rate,
                                         (REAL)sqrt(1 - pow(job->beta2, number)),
                                         images_of(job, job->x + first * job->channels * job->positions)};
            make_step(&context, job->y + first * job->labels, job->losses + first,
                      job->logits + first * job->labels * job->classes);
        }
    }
}

/* Puts out the logits [lanes, steps, batch, labels, classes] of a job, whose scratch memory plan has divided; nothing
   is trained. */
void predict(const Job *job) {
    for (Size lane = 0; lane < job->lanes; lane++) {
        for (Size step = 0; step < job->steps; step++) {
            const Size from = (job->split[lane] * job->steps + step) * job->batch;
            const StepContext context = {job, lane, job->batch, step, 0, 0, 0,
                                         images_of(job, job->x + from * job->channels * job->positions)};
            put_out(&context, job->logits + (lane * job->steps + step) * job->batch * job->labels * job->classes);
        }
    }
}
