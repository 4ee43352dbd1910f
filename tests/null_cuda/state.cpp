// Settings, counters, errors, and what is launched.
#include "state.h"
#include "captures.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

std::recursive_mutex guard;

static thread_local cudaError_t last_error = cudaSuccess;
static thread_local int device = 0;
static thread_local cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
static std::map<std::string, long> counters;
static long launches_ever = 0;
static bool asserted = false;

size_t setting(const char *name, size_t otherwise) {
    const char *text = getenv((std::string("NULL_CUDA_") + name).c_str());
    return text ? strtoull(text, nullptr, 10) : otherwise;
}

int device_count() {
    static int count = (int)setting("DEVICES", 1);
    return count;
}

int current_device() { return device; }

cudaError_t failed(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

bool spoiled() {
    Locked locked(guard);
    return asserted;
}

cudaError_t refused_by_captures() {
    Locked locked(guard);
    if (!anything_captures() || capture_mode != cudaStreamCaptureModeGlobal) return cudaSuccess;
    invalidate_captures();
    return failed(cudaErrorStreamCaptureUnsupported);
}

void count(const char *counter, long more) {
    Locked locked(guard);
    counters[counter] += more;
}

void launched(cudaStream_t stream) {
    static long most = (long)setting("ASSERT_AFTER", 0);
    Locked locked(guard);
    asserted |= most && ++launches_ever > most;
    if (!captured(stream)) counters["launches"]++;
}

// For the program that runs here: a counter by name, all of them to 0, and an assert in a kernel.
EXPORT long null_cuda_counter(const char *name) {
    Locked locked(guard);
    return counters[name];
}

EXPORT void null_cuda_clear() {
    Locked locked(guard);
    for (auto &[name, value] : counters)
        if (name.compare(0, 4, "used") != 0) value = 0;
}

EXPORT void null_cuda_assert() {
    Locked locked(guard);
    asserted = true;
}

EXPORT cudaError_t cudaGetDeviceCount(int *count) {
    *count = device_count();
    return *count ? cudaSuccess : failed(cudaErrorNoDevice);
}
EXPORT cudaError_t cudaGetDevice(int *which) {
    *which = device;
    return cudaSuccess;
}
EXPORT cudaError_t cudaSetDevice(int which) {
    if (which < 0 || which >= device_count()) return failed(cudaErrorInvalidDevice);
    device = which;
    return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceSynchronize() {
    if (spoiled()) return ASSERTED;
    if (cudaError_t error = refused_by_captures()) return error;
    count("synchronizations");
    count(("synchronizations" + std::to_string(device)).c_str());
    return cudaSuccess;
}
EXPORT cudaError_t cudaGetLastError() {
    if (spoiled()) return ASSERTED;
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}
EXPORT cudaError_t cudaPeekAtLastError() { return spoiled() ? ASSERTED : last_error; }
EXPORT const char *cudaGetErrorName(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError";
}
EXPORT const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorAssert: return "device-side assert triggered";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorDevicesUnavailable: return "CUDA-capable device(s) is/are busy or unavailable";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    default: return "an error of the null runtime";
    }
}
EXPORT cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode *mode) {
    std::swap(capture_mode, *mode);
    return cudaSuccess;
}
