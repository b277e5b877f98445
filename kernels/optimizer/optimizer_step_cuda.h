#pragma once
// The CUDA kernels of optimizers behind pointers and sizes: one launch for a whole model (per 256
// parameters of one dtype).
//
// Bytes per element of size e: a step 3e and 2e per buffer that the rule uses (SGD with momentum
// 5e, Adam 7e), gradient norm e, clipping 2e.

#include <cstdint>
#include <span>

#include "core/device/gpu.h"
#include "kernels/optimizer/optimizer_rules.h"

namespace warptape {

template <class T>
struct UpdateEntry {
  T* value;
  const T* grad;
  T* buffers[most_buffers];  // null where the rule has none
  int64_t* step;
  const double* factor;  // of the gradient; null: it is taken as it is
  int64_t numel;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(value);
    visit(grad);
    for (T* buffer : buffers) {
      visit(buffer);
    }
    visit(step);
    visit(factor);
  }
};

// Constants: those of WARPTAPE_OPTIMIZER_RULES. Reads the rate and every entry's step from device
// memory and counts the steps up. arrivals: 0 between launches.
template <class T, class Constants>
void launch_optimizer_step(std::span<const UpdateEntry<T>> entries, const Constants& constants,
                           const double* learning_rate, unsigned long long* arrivals,
                           gpu::StreamHandle stream);

template <class T>
struct SpanEntry {
  T* values;
  int64_t numel;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(values);
  }
};

// How many norms launch_gradient_norm writes for tensors of these sizes.
int64_t count_of_chunk_norms(int64_t numel, int64_t element_bytes);

// What becomes of the norms of all chunks, in the last launch that makes some.
struct AllNorms {
  const double* norms = nullptr;
  int64_t count = 0;  // 0: further launches follow
  double max_norm = 0;
  double* result = nullptr;  // {the norm of them all, clip_factor of it}
  unsigned long long* arrivals = nullptr;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    if (count > 0) {
      visit(norms);
      visit(result);
      visit(arrivals);
    }
  }
};

// partial[i]: the norm of a part of one tensor. Returns how many were written. all: what the last
// of the launches makes of those of all calls; `count` is their number.
template <class T>
int64_t launch_gradient_norm(std::span<const SpanEntry<const T>> entries, double* partial,
                             const AllNorms& all, gpu::StreamHandle stream);
// Multiplies by result[1]; moves nothing where that is 1.
template <class T>
void launch_scale(std::span<const SpanEntry<T>> entries, const double* result,
                  gpu::StreamHandle stream);

}  // namespace warptape
