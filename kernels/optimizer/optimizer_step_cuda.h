#pragma once
// The CUDA kernels of optimizers behind pointers and sizes: one launch for a whole model (per 256
// parameters of one dtype).
//
// Bytes per element of size e: a step 3e and 2e per buffer that the rule uses (SGD with momentum
// 5e, Adam 7e), gradient norm e, clipping 2e.

#include <cstdint>
#include <span>

#include "core/device/gpu.h"
#include "core/simt/bfloat16.h"
#include "kernels/optimizer/constraint.h"
#include "kernels/optimizer/optimizer_rules.h"
#include "kernels/weight_norm/weight_norm_geometry.h"

namespace warptape {

template <class T>
struct UpdateEntry {
  T* value;
  const T* grad;
  T* buffers[most_buffers];  // null where the rule has none
  int64_t* step;
  const double* factor;     // of the gradient; null: it is taken as it is
  simt::bfloat16* rounded;  // the value in bfloat16, of float alone; null: not wanted
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
    visit(rounded);
  }
};

// A value v of a step and what weight norm makes of it, row by row (kernels/weight_norm).
struct NormalizedEntry {
  UpdateEntry<float> v;
  UpdateEntry<float> g;  // without a step: it is not updated, only read
  void* w;
  bool w_is_bfloat16;
  double* inv_norm;
  int64_t rows;
  int64_t length;
  weight_norm_detail::Geometry geometry;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    v.for_each_pointer(visit);
    if (g.step != nullptr) {
      g.for_each_pointer(visit);
    } else {
      visit(static_cast<const float*>(g.value));
    }
    if (w_is_bfloat16) {
      visit(static_cast<simt::bfloat16*>(w));
    } else {
      visit(static_cast<float*>(w));
    }
    visit(inv_norm);
  }
};

// Whether a block of a step holds whole rows of such a weight. aligned: all its tensors are, to 16
// bytes.
bool step_can_normalize(int64_t length, bool aligned);

// As launch_optimizer_step, those of `weights` with their w and inv_norm. Constants: those of
// WARPTAPE_WEIGHT_RULES, here and below.
template <class Constants>
void launch_normalizing_step(std::span<const UpdateEntry<float>> entries,
                             std::span<const NormalizedEntry> weights, const Constants& constants,
                             const double* learning_rate, unsigned long long* arrivals,
                             gpu::StreamHandle stream);

// Constants: those of WARPTAPE_OPTIMIZER_RULES. Reads the rate and every entry's step from device
// memory and counts the steps up. arrivals: 0 between launches.
template <class T, class Constants>
void launch_optimizer_step(std::span<const UpdateEntry<T>> entries, const Constants& constants,
                           const double* learning_rate, unsigned long long* arrivals,
                           gpu::StreamHandle stream);

// A weight whose rows of `length` elements the step projects; the copy in bfloat16 is of what they
// are then.
template <class T>
struct ConstrainedEntry {
  UpdateEntry<T> update;  // without `rounded`
  simt::bfloat16* rounded;
  int64_t length;
  Constraint constraint;
  int lanes;  // threads that own a row; the launch says how many

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    update.for_each_pointer(visit);
    visit(rounded);
  }
};

// As launch_optimizer_step: one launch, whatever the rows' length.
template <class T, class Constants>
void launch_constrained_step(std::span<const ConstrainedEntry<T>> entries,
                             const Constants& constants, const double* learning_rate,
                             unsigned long long* arrivals, gpu::StreamHandle stream);

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
