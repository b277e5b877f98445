#pragma once
#include "core/device/gpu.h"
#include "kernels/rows/row_geometry.h"

namespace warptape::on_cuda {

// Of device memory, beside the partial sums: what is 0 before and what has been counted.
struct CrossEntropyCounters {
  unsigned long long arrivals;
  unsigned long long counted;
};

// Rows of logits and their labels, in the order of the rows.
struct CrossEntropySettings {
  int64_t rows = 0;
  int64_t classes = 0;
  int64_t ignore_index = 0;
  double smoothing = 0;
  bool mean = true;
  int bad_label = 0;  // the code to report
};

// More labels are counted by a kernel of their own, not by each block.
inline constexpr int64_t most_counted_by_blocks = 4096;

// Device memory that a call needs.
struct CrossEntropyWorkspace {
  static constexpr int64_t state_bytes = 16;

  CrossEntropyCounters* counters;  // zeroed, and counted where the blocks do not
  double* partials;                // partial_sums(plan)
  void* states;                    // plan.states() of state_bytes

  static int64_t partial_sums(const rows::Plan& plan) {
    return plan.blocks * plan.chunks * (plan.chunks > 1 ? 2 : 1);
  }
};

// counters->counted += labels that are not ignored.
void count_labels(gpu::StreamHandle stream, const int64_t* labels, int64_t count,
                  int64_t ignore_index, CrossEntropyCounters* counters);

// The loss and, unless gradient is nullptr, its gradient.
template <class T>
void cross_entropy(gpu::StreamHandle stream, const rows::Plan& plan,
                   const CrossEntropySettings& settings, const T* logits, const int64_t* labels,
                   gpu::ErrorReport* report, const CrossEntropyWorkspace& workspace, T* loss,
                   T* gradient);

// to = dy * gradient, or to += that; n elements, dy is one.
template <class T>
void scale_gradient(gpu::StreamHandle stream, int64_t n, const T* dy, const T* gradient, T* to,
                    bool add);

}  // namespace warptape::on_cuda
