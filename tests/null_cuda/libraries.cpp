// What torch calls of cuBLAS and cuDNN, without their headers: a handle has a stream, and products and convolutions are launched on it.
#include "state.h"
#include <cstdlib>
#include <cstring>

static std::map<void *, cudaStream_t> streams;

static int set_stream(void *handle, cudaStream_t stream) {
    Locked locked(guard);
    streams[handle] = stream;
    return 0;
}
static int launch(void *handle) {
    Locked locked(guard);
    launched(streams[handle]);
    return 0;
}
static int create(void **made) {
    *made = calloc(1, 4096);
    return 0;
}

#define DONE(name) EXPORT int name() { return 0; }
#define CREATED(name) EXPORT int name(void **made) { return create(made); }
#define LAUNCHED(name) EXPORT int name(void *handle) { return launch(handle); }
#define NUMBER(name) EXPORT int name(void *, int *number) { *number = 0; return 0; }

CREATED(cublasCreate_v2)
EXPORT int cublasSetStream_v2(void *handle, cudaStream_t stream) { return set_stream(handle, stream); }
DONE(cublasDestroy_v2) DONE(cublasSetWorkspace_v2) DONE(cublasSetMathMode) DONE(cublasSetPointerMode_v2)
NUMBER(cublasGetMathMode) NUMBER(cublasGetPointerMode_v2)
LAUNCHED(cublasGemmStridedBatchedEx) LAUNCHED(cublasDgemmStridedBatched) LAUNCHED(cublasSgemmStridedBatched)
LAUNCHED(cublasSgemm_v2) LAUNCHED(cublasDgemm_v2) LAUNCHED(cublasGemmEx) LAUNCHED(cublasSgemmEx)
LAUNCHED(cublasSgemv_v2) LAUNCHED(cublasDgemv_v2) LAUNCHED(cublasSdot_v2) LAUNCHED(cublasDdot_v2)

CREATED(cublasLtMatmulDescCreate) CREATED(cublasLtMatrixLayoutCreate) CREATED(cublasLtMatmulPreferenceCreate)
DONE(cublasLtMatmulDescDestroy) DONE(cublasLtMatmulDescSetAttribute)
DONE(cublasLtMatrixLayoutDestroy) DONE(cublasLtMatrixLayoutSetAttribute)
DONE(cublasLtMatmulPreferenceDestroy) DONE(cublasLtMatmulPreferenceSetAttribute)
EXPORT int cublasLtMatmulAlgoGetHeuristic(
    void *, void *, void *, void *, void *, void *, void *, int, void *result, int *found
) {
    memset(result, 0, 64);
    *found = 1;
    return 0;
}
EXPORT int cublasLtMatmul(
    void *, void *, const void *, const void *, void *, const void *, void *, const void *, const void *, void *, void *,
    void *, const void *, void *, size_t, cudaStream_t stream
) {
    launched(stream);
    return 0;
}

CREATED(cudnnCreate) CREATED(cudnnCreateTensorDescriptor)
DONE(cudnnDestroy) DONE(cudnnDestroyTensorDescriptor) DONE(cudnnSetTensorNdDescriptor)
EXPORT int cudnnSetStream(void *handle, cudaStream_t stream) { return set_stream(handle, stream); }
EXPORT int cudnnGetStream(void *handle, cudaStream_t *stream) {
    Locked locked(guard);
    *stream = streams[handle];
    return 0;
}
LAUNCHED(cudnnBatchNormalizationForwardTrainingEx) LAUNCHED(cudnnBatchNormalizationBackwardEx)
LAUNCHED(cudnnBatchNormalizationForwardInference) LAUNCHED(cudnnBackendExecute)
EXPORT int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(
    void *, int, int, void *, void *, void *, void *, void *, size_t *bytes
) {
    *bytes = 0;
    return 0;
}
EXPORT int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void *, int, int, void *, void *, size_t *bytes) {
    *bytes = 0;
    return 0;
}
EXPORT int cudnnGetBatchNormalizationBackwardExWorkspaceSize(
    void *, int, int, void *, void *, void *, void *, void *, void *, void *, size_t *bytes
) {
    *bytes = 0;
    return 0;
}
EXPORT int cudnnBackendCreateDescriptor(int, void **made) { return create(made); }
EXPORT int cudnnBackendDestroyDescriptor(void *made) {
    free(made);
    return 0;
}
DONE(cudnnBackendInitialize) DONE(cudnnBackendFinalize) DONE(cudnnBackendSetAttribute)
// Every attribute is one 0, but an engine has no notes and no knobs.
EXPORT int cudnnBackendGetAttribute(void *, int name, int type, long most, long *found, void *values) {
    constexpr int FIRST_LIST = 1303, LAST_LIST = 1305, DESCRIPTOR = 15;
    long count = name >= FIRST_LIST && name <= LAST_LIST ? 0 : 1;
    if (found) *found = count;
    if (values && most > 0 && count && type != DESCRIPTOR) memset(values, 0, 8);
    return 0;
}
