/* Layers that put out other positions of an image than they take: means, the largest numbers, every second position. */

#ifndef POOLING_H
#define POOLING_H

#include "norm.h"
#include "step_context.h"

/* Rows or columns of an image, from first to before end. */
typedef struct {
    Size first, end;
} Span;

/* What one position of the output is made of. */
typedef struct {
    Span rows, columns;
} Window;

/* One of count parts of a line, as equal as they can be; they overlap where the line does not divide. */
INLINE Span part_of(Size length, Size count, Size part) {
    return (Span){part * length / count, ((part + 1) * length + count - 1) / count};
}

/* What a kernel sees of a line; nothing of the zeros around it. */
INLINE Span seen(Size position, Size stride, Size before, Size kernel, Size length) {
    const Size first = position * stride - before;
    return (Span){larger(first, 0), smaller(first + kernel, length)};
}

static Window window_of(const Layer *layer, Size position) {
    const Shape *s = &layer->shape;
    const Size row = position / s->columns, column = position % s->columns;
    if (layer->kind == AVERAGE)
        return (Window){part_of(s->height, s->rows, row), part_of(s->width, s->columns, column)};
    return (Window){seen(row, s->row_stride, s->top, s->kernel_rows, s->height),
                    seen(column, s->column_stride, s->left, s->kernel_columns, s->width)};
}

/* ---- means over the parts of an image, of which there may be one ---- */

static void average_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size width = layer->shape.width, channels = layer->shape.channels;
    double *totals = (double *)scratch_at(context, context->job->totals), *line = totals + channels;
    for (Size example = 0; example < context->batch; example++, x += input_size(layer))
        for (Size position = 0; position < output_positions(layer); position++, y += channels) {
            const Window window = window_of(layer, position);
            Size lines = window.rows.end - window.rows.first, length = window.columns.end - window.columns.first;
            const Size count = lines * length;
            if (length == width) lines = 1, length = count; /* lines that lie together in memory */
            for (Size number = 0; number < lines; number++) {
                const REAL *from = x + ((window.rows.first + number) * width + window.columns.first) * channels;
                double *sums = number ? line : totals;
                sum_rows(SUM, length, channels, from, from, from, sums, sums);
                for (Size c = 0; number && c < channels; c++) totals[c] += line[c];
            }
            for (Size c = 0; c < channels; c++) y[c] = (REAL)(totals[c] / count);
        }
}

static void average_backward(const StepContext *context, const Layer *layer, const REAL *gradient, REAL *to) {
    const Size width = layer->shape.width, channels = layer->shape.channels;
    memset(to, 0, context->batch * input_size(layer) * sizeof(REAL));
    for (Size example = 0; example < context->batch; example++, to += input_size(layer))
        for (Size position = 0; position < output_positions(layer); position++, gradient += channels) {
            const Window window = window_of(layer, position);
            const Span rows = window.rows, columns = window.columns;
            const Size count = (rows.end - rows.first) * (columns.end - columns.first);
            for (Size row = rows.first; row < rows.end; row++)
                for (Size at = row * width + columns.first; at < row * width + columns.end; at++)
                    for (Size c = 0; c < channels; c++) to[at * channels + c] += gradient[c] / count;
        }
}

/* ---- the largest number of each channel that a kernel sees: the first of equal ones, as torch has it ---- */

static void maximum_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Size width = layer->shape.width, channels = layer->shape.channels;
    for (Size example = 0; example < context->batch; example++, x += input_size(layer))
        for (Size position = 0; position < output_positions(layer); position++, y += channels) {
            const Window window = window_of(layer, position);
            const Span rows = window.rows, columns = window.columns;
            memcpy(y, x + (rows.first * width + columns.first) * channels, channels * sizeof(REAL));
            for (Size row = rows.first; row < rows.end; row++)
                for (Size column = columns.first; column < columns.end; column++) {
                    const REAL *from = x + (row * width + column) * channels;
                    for (Size c = 0; c < channels; c++) y[c] = from[c] > y[c] || from[c] != from[c] ? from[c] : y[c];
                }
        }
}

static void maximum_backward(const StepContext *context, const Layer *layer, const REAL *x, const REAL *gradient,
                             REAL *to) {
    const Size width = layer->shape.width, channels = layer->shape.channels;
    const REAL *y = scratch_at(context, layer->output);
    REAL *left = scratch_at(context, context->job->vectors); /* what no place has been given yet */
    memset(to, 0, context->batch * input_size(layer) * sizeof(REAL));
    for (Size example = 0; example < context->batch; example++, x += input_size(layer), to += input_size(layer))
        for (Size position = 0; position < output_positions(layer); position++, y += channels, gradient += channels) {
            const Window window = window_of(layer, position);
            const Span rows = window.rows, columns = window.columns;
            memcpy(left, gradient, channels * sizeof(REAL));
            for (Size row = rows.first; row < rows.end; row++)
                for (Size column = columns.first; column < columns.end; column++) {
                    const Size at = (row * width + column) * channels;
                    for (Size c = 0; c < channels; c++) {
                        const REAL given = x[at + c] == y[c] ? left[c] : 0;
                        to[at + c] += given;
                        left[c] = x[at + c] == y[c] ? 0 : left[c];
                    }
                }
        }
}

/* ---- some positions, and channels ---- */

/* Some rows and columns of images, and zeros for channels that come after theirs. */
static void subsample_forward(const StepContext *context, const Layer *layer, const REAL *x, REAL *y) {
    const Shape *s = &layer->shape;
    memset(y, 0, context->batch * output_size(layer) * sizeof(REAL));
    for (Size line = 0; line < context->batch * s->rows; line++)
        for (Size column = 0; column < s->columns; column++, y += s->outputs)
            memcpy(y, x + input_offset(s, line, column), s->channels * sizeof(REAL));
}

static void subsample_backward(const StepContext *context, const Layer *layer, const REAL *gradient, REAL *to) {
    const Shape *s = &layer->shape;
    memset(to, 0, context->batch * input_size(layer) * sizeof(REAL));
    for (Size line = 0; line < context->batch * s->rows; line++)
        for (Size column = 0; column < s->columns; column++, gradient += s->outputs)
            memcpy(to + input_offset(s, line, column), gradient, s->channels * sizeof(REAL));
}

#endif
