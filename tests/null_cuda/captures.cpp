// Streams, events, captures and graphs, with the rules of captures.
#include "captures.h"
#include <cstdlib>

struct Capture {
    bool valid;
    unsigned long long id;
    size_t nodes;
};
struct Graph {
    size_t nodes;
};

static std::map<cudaStream_t, Capture> captures;
static std::map<cudaEvent_t, unsigned long long> recorded_in; // the captures of events
static unsigned long long next_id = 1;
static size_t last_nodes = 0;

bool captured(cudaStream_t stream) {
    auto found = captures.find(stream);
    if (found == captures.end() || !found->second.valid) return false;
    found->second.nodes++;
    return true;
}

void invalidate_captures() {
    for (auto &[stream, capture] : captures) capture.valid = false;
}

bool is_capturing(cudaStream_t stream) {
    Locked locked(guard);
    auto found = captures.find(stream);
    return found != captures.end() && found->second.valid;
}

bool anything_captures() { return !captures.empty(); }

static cudaError_t refused_by_capture_of(cudaStream_t stream) {
    auto found = captures.find(stream);
    if (found == captures.end()) return cudaSuccess;
    found->second.valid = false;
    return failed(cudaErrorStreamCaptureUnsupported);
}

EXPORT long null_cuda_nodes() { return (long)last_nodes; }

EXPORT cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned, int) {
    *stream = (cudaStream_t)calloc(1, 64);
    count(("streams" + std::to_string(current_device())).c_str());
    return cudaSuccess;
}
EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    return cudaStreamCreateWithPriority(stream, flags, 0);
}
EXPORT cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
EXPORT cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
EXPORT cudaError_t cudaStreamGetPriority(cudaStream_t, int *priority) {
    *priority = 0;
    return cudaSuccess;
}
EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (spoiled()) return ASSERTED;
    Locked locked(guard);
    if (cudaError_t error = refused_by_capture_of(stream)) return error;
    if (cudaError_t error = refused_by_captures()) return error;
    count("synchronizations");
    return cudaSuccess;
}
EXPORT cudaError_t cudaStreamQuery(cudaStream_t stream) {
    if (spoiled()) return ASSERTED;
    Locked locked(guard);
    return refused_by_capture_of(stream);
}
EXPORT cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status) {
    Locked locked(guard);
    auto found = captures.find(stream);
    *status = found == captures.end()  ? cudaStreamCaptureStatusNone
              : found->second.valid ? cudaStreamCaptureStatusActive
                                    : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
}
EXPORT cudaError_t cudaStreamGetCaptureInfo(
    cudaStream_t stream, cudaStreamCaptureStatus *status, unsigned long long *id, cudaGraph_t *graph,
    const cudaGraphNode_t **nodes, const cudaGraphEdgeData **edges, size_t *count
) {
    Locked locked(guard);
    cudaStreamIsCapturing(stream, status);
    auto found = captures.find(stream);
    if (id) *id = found == captures.end() ? 0 : found->second.id;
    if (graph) *graph = nullptr;
    if (nodes) *nodes = nullptr;
    if (edges) *edges = nullptr;
    if (count) *count = 0;
    return cudaSuccess;
}
EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    Locked locked(guard);
    if (!stream) return failed(cudaErrorStreamCaptureUnsupported);
    if (captures.count(stream)) return failed(cudaErrorIllegalState);
    captures[stream] = {true, next_id++, 0};
    return cudaSuccess;
}
EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    Locked locked(guard);
    auto found = captures.find(stream);
    if (found == captures.end()) return failed(cudaErrorIllegalState);
    Capture over = found->second;
    for (auto each = captures.begin(); each != captures.end();)
        each = each->second.id == over.id ? captures.erase(each) : std::next(each);
    *graph = nullptr;
    if (!over.valid) return failed(cudaErrorStreamCaptureInvalidated);
    last_nodes = over.nodes;
    count("captures");
    *graph = (cudaGraph_t) new Graph{over.nodes};
    return cudaSuccess;
}

EXPORT cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    *event = (cudaEvent_t)calloc(1, 64);
    return cudaSuccess;
}
EXPORT cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }
EXPORT cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
EXPORT cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    Locked locked(guard);
    if (is_capturing(stream)) recorded_in[event] = captures[stream].id;
    else recorded_in.erase(event);
    return cudaSuccess;
}
EXPORT cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
    return cudaEventRecord(event, stream);
}
EXPORT cudaError_t cudaEventQuery(cudaEvent_t) { return spoiled() ? ASSERTED : refused_by_captures(); }
EXPORT cudaError_t cudaEventSynchronize(cudaEvent_t) {
    if (spoiled()) return ASSERTED;
    if (cudaError_t error = refused_by_captures()) return error;
    count("synchronizations");
    return cudaSuccess;
}
EXPORT cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t) {
    *milliseconds = 1;
    return cudaSuccess;
}
// A stream that waits for an event of a capture joins it; one that captures waits for no event from outside.
EXPORT cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    Locked locked(guard);
    auto found = recorded_in.find(event);
    if (is_capturing(stream)) {
        if (found != recorded_in.end()) return cudaSuccess;
        captures[stream].valid = false;
        return failed(cudaErrorStreamCaptureIsolation);
    }
    bool lives = false;
    for (auto &[other, capture] : captures) lives |= found != recorded_in.end() && capture.id == found->second;
    if (!lives) return cudaSuccess;
    if (!stream) {
        invalidate_captures();
        return failed(cudaErrorStreamCaptureImplicit);
    }
    captures[stream] = {true, found->second, 0};
    return cudaSuccess;
}

EXPORT cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *played, cudaGraph_t graph, unsigned long long) {
    *played = (cudaGraphExec_t) new Graph(*(Graph *)graph);
    return cudaSuccess;
}
EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t *played, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiateWithFlags(played, graph, flags);
}
EXPORT cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *, size_t *count) {
    *count = ((Graph *)graph)->nodes;
    return cudaSuccess;
}
EXPORT cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete (Graph *)graph;
    return cudaSuccess;
}
EXPORT cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    delete (Graph *)graph;
    return cudaSuccess;
}
EXPORT cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) {
    if (spoiled()) return ASSERTED;
    count("playbacks");
    return cudaSuccess;
}
EXPORT cudaError_t cudaGraphRetainUserObject(cudaGraph_t, cudaUserObject_t, unsigned, unsigned) { return cudaSuccess; }
