#pragma once
// Kernels for the tests of the device seam.

#include <cstdint>

#include "core/device/gpu.h"

namespace warptape::test_kernels {

// values[i] += amount
void add(float* values, int64_t n, float amount, gpu::StreamHandle stream);
// values[index] += amount, wherever that is
void add_at(float* values, int64_t index, float amount, gpu::StreamHandle stream);
// values[i] += *amount
void add_from(float* values, int64_t n, const float* amount, gpu::StreamHandle stream);
// to[i] = factor * from[i]
void scale(const float* from, float* to, int64_t n, float factor, gpu::StreamHandle stream);
// Reports every negative value, and makes it 0.
void clamp(float* values, int64_t n, int code, gpu::ErrorReport* report, gpu::StreamHandle stream);
// Two pointers in a struct, one of them optional: to[i] = from[i], or 0.
void copy_pair(const float* from, float* to, int64_t n, gpu::StreamHandle stream);
// Faults: to[i] = from[i] by a struct that does not list `from`, that does not list `to`, and by
// one that lists `to` as if it were only read.
void copy_from_unlisted(const float* from, float* to, int64_t n, gpu::StreamHandle stream);
void copy_to_unlisted(const float* from, float* to, int64_t n, gpu::StreamHandle stream);
void copy_to_const(const float* from, float* to, int64_t n, gpu::StreamHandle stream);

// One block of so many threads turns the order of n values around, through dynamic shared memory.
void reverse(float* values, int64_t n, unsigned threads, gpu::StreamHandle stream);

}  // namespace warptape::test_kernels
