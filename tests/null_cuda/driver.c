// The driver's library, which torch and triton load by its name: each call does nothing.
#define DONE(name) int name() { return 0; }
DONE(cuInit) DONE(cuCtxSetCurrent) DONE(cuDeviceGet) DONE(cuDeviceGetAttribute) DONE(cuDevicePrimaryCtxRetain)
DONE(cuFuncGetAttribute) DONE(cuFuncSetAttribute) DONE(cuFuncSetCacheConfig) DONE(cuGetErrorString)
DONE(cuLaunchCooperativeKernel) DONE(cuLaunchKernel)
DONE(cuLinkAddData_v2) DONE(cuLinkComplete) DONE(cuLinkCreate_v2)
DONE(cuModuleGetFunction) DONE(cuModuleLoad) DONE(cuModuleLoadData) DONE(cuModuleLoadDataEx) DONE(cuModuleUnload)
DONE(cuOccupancyMaxActiveBlocksPerMultiprocessor) DONE(cuPointerGetAttribute) DONE(cuTensorMapEncodeTiled)

int cuCtxGetCurrent(void **context) {
    *context = (void *)1;
    return 0;
}
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    if (flags) *flags = 0;
    if (active) *active = 1;
    return 0;
}
