// Memory of devices, which is the host's, and copies.
#include "state.h"
#include <cstring>
#include <sys/mman.h>

struct Allocation {
    size_t bytes;
    int device; // -1: pinned memory of the host
};

static std::map<char *, Allocation> allocations;
static size_t used[MOST_DEVICES];

static size_t capacity() {
    static size_t bytes = setting("MEMORY", 80ull << 30);
    return bytes;
}
static size_t taken_by_others() {
    static size_t bytes = setting("TAKEN", 0);
    return bytes;
}

static void use(int device, long bytes) {
    used[device] += bytes;
    count(("used" + std::to_string(device)).c_str(), bytes);
}

static cudaError_t allocate(void **place, size_t bytes, int device) {
    Locked locked(guard);
    *place = nullptr;
    size_t mapped = bytes ? bytes : 1;
    if (device >= 0 && used[device] + taken_by_others() + bytes > capacity()) return failed(cudaErrorMemoryAllocation);
    void *found = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
    allocations[(char *)found] = {mapped, device};
    if (device >= 0) use(device, (long)mapped);
    *place = found;
    return cudaSuccess;
}

static cudaError_t release(void *place) {
    Locked locked(guard);
    if (!place) return cudaSuccess;
    auto found = allocations.find((char *)place);
    if (found == allocations.end()) return failed(cudaErrorInvalidValue);
    if (found->second.device >= 0) use(found->second.device, -(long)found->second.bytes);
    munmap(place, found->second.bytes);
    allocations.erase(found);
    return cudaSuccess;
}

EXPORT cudaError_t cudaMalloc(void **place, size_t bytes) {
    if (spoiled()) return ASSERTED;
    if (cudaError_t error = refused_by_captures()) return error;
    static size_t most_of_captures = setting("CAPTURE_MEMORY", ~0ull);
    Locked locked(guard);
    count("allocations");
    *place = nullptr;
    if (anything_captures() && used[current_device()] > most_of_captures) return failed(cudaErrorMemoryAllocation);
    return allocate(place, bytes, current_device());
}
EXPORT cudaError_t cudaFree(void *place) {
    if (cudaError_t error = refused_by_captures()) return error;
    return release(place);
}
EXPORT cudaError_t cudaMallocHost(void **place, size_t bytes) { return allocate(place, bytes, -1); }
EXPORT cudaError_t cudaHostAlloc(void **place, size_t bytes, unsigned) {
    if (cudaError_t error = refused_by_captures()) return error;
    return allocate(place, bytes, -1);
}
EXPORT cudaError_t cudaFreeHost(void *place) { return release(place); }
EXPORT cudaError_t cudaMemGetInfo(size_t *free, size_t *every) {
    if (taken_by_others() >= capacity()) return failed(cudaErrorMemoryAllocation); // not even a context fits
    *every = capacity();
    *free = capacity() - taken_by_others() - used[current_device()];
    return cudaSuccess;
}

// The device that memory belongs to; -1: pinned, -2: any other of the host.
static int owner(const void *place) {
    Locked locked(guard);
    auto found = allocations.upper_bound((char *)place);
    if (found == allocations.begin()) return -2;
    --found;
    return (char *)place < found->first + found->second.bytes ? found->second.device : -2;
}

EXPORT cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *found, const void *place) {
    int device = owner(place);
    *found = {};
    found->type = device >= 0    ? cudaMemoryTypeDevice
                  : device == -1 ? cudaMemoryTypeHost
                                 : cudaMemoryTypeUnregistered;
    found->device = device >= 0 ? device : current_device();
    found->devicePointer = found->hostPointer = (void *)place;
    return cudaSuccess;
}

static cudaError_t copy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    if (kind == cudaMemcpyDefault)
        kind = owner(to) < 0     ? cudaMemcpyDeviceToHost
               : owner(from) < 0 ? cudaMemcpyHostToDevice
                                 : cudaMemcpyDeviceToDevice;
    bool within = kind == cudaMemcpyDeviceToDevice, later = is_capturing(stream);
    if (within || later) launched(stream);
    if (later) return cudaSuccess;
    count(within ? "copies within" : kind == cudaMemcpyHostToDevice ? "copies in" : "copies out");
    if (kind == cudaMemcpyDeviceToHost) memset(to, 0, bytes);
    return cudaSuccess;
}

EXPORT cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    return spoiled() ? ASSERTED : copy(to, from, bytes, kind, stream);
}
EXPORT cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    if (spoiled()) return ASSERTED;
    if (cudaError_t error = refused_by_captures()) return error;
    count("synchronizations");
    return copy(to, from, bytes, kind, nullptr);
}
EXPORT cudaError_t cudaMemcpyPeerAsync(void *to, int, const void *from, int, size_t bytes, cudaStream_t stream) {
    return copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
EXPORT cudaError_t cudaMemsetAsync(void *, int, size_t, cudaStream_t stream) {
    launched(stream);
    return cudaSuccess;
}
EXPORT cudaError_t cudaMemset(void *place, int value, size_t bytes) {
    memset(place, value, bytes);
    return cudaSuccess;
}
EXPORT cudaError_t cudaGetSymbolAddress(void **place, const void *) {
    static char symbol[1 << 16];
    *place = symbol;
    return cudaSuccess;
}
EXPORT cudaError_t cudaMemcpyToSymbol(const void *, const void *, size_t, size_t, cudaMemcpyKind) {
    return cudaSuccess;
}
