#pragma once
// Cross-entropy as an Op over the rows of the logits: one pass gives the loss of each row and its
// gradient, softmax minus target; the last block to arrive adds the blocks' sums up.

#include "core/device/report.cuh"
#include "core/simt/arrive.cuh"
#include "kernels/cross_entropy/cross_entropy_cuda.h"
#include "kernels/softmax/softmax.cuh"

namespace warptape::cross_entropy_detail {

template <class T>
struct CrossEntropy {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 1;

  on_cuda::CrossEntropySettings settings;
  const int64_t* labels;
  gpu::ErrorReport* report;
  on_cuda::CrossEntropyCounters* counters;
  double* partials;
  T* loss;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(labels);
    visit(report);
    visit(counters);
    visit(partials);
    visit(loss);
  }

  struct Block {
    double counted;  // labels of all rows that are not ignored
    double loss;     // this thread's part of the sum
    C of_spread;     // the target of every class over `counted`
    C of_label;      // the label's, besides
  };
  struct Row {
    rows::MaxAndTotal<C> state;
    int label = -1;  // -1: counts nowhere
    C of_softmax;    // what exp(x - largest) is multiplied by
  };

  __device__ double spread() const {
    return settings.smoothing / static_cast<double>(settings.classes);
  }
  __device__ bool counts(int64_t row) const { return labels[row] != settings.ignore_index; }

  __device__ Block prepare() const {
    double counted = 1;
    if (settings.mean && settings.rows > on_cuda::most_counted_by_blocks) {
      counted = static_cast<double>(counters->counted);
    } else if (settings.mean) {
      int64_t own = 0;
      for (int64_t row = threadIdx.x; row < settings.rows; row += blockDim.x) {
        own += counts(row) ? 1 : 0;
      }
      counted = static_cast<double>(simt::block_sum(own));
    }
    return {counted, 0, static_cast<C>(spread() / counted),
            static_cast<C>((1 - settings.smoothing) / counted)};
  }

  // A label out of range is reported, and its row counts nowhere.
  __device__ void begin(int64_t row, int64_t, bool leads, Row& own) const {
    const int64_t label = labels[row];
    if (label == settings.ignore_index) {
      return;
    }
    if (label >= 0 && label < settings.classes) {
      own.label = static_cast<int>(label);
    } else if (leads) {
      report_fault(report, settings.bad_label, row, label);
    }
  }

  static __device__ rows::MaxAndTotal<C> identity() { return rows::max_and_total_of_nothing<C>(); }
  static __device__ rows::MaxAndTotal<C> combine(const rows::MaxAndTotal<C>& a,
                                                 const rows::MaxAndTotal<C>& b) {
    return rows::combine(a, b);
  }

  // A row's loss is log(sum of exp) - sum of target * logit. Whoever has a logit takes its term.
  template <class Items>
  __device__ void add(Row& row, Block& block, const Items& items) const {
    rows::add_elements(row.state, items);
    if (row.label < 0) {
      return;
    }
    if (settings.smoothing != 0) {
      items([&](int64_t, const C(&x)[1]) { block.loss -= spread() * static_cast<double>(x[0]); });
    }
    items([&](int64_t index, const C(&x)[1]) {
      if (static_cast<int>(index) == row.label) {
        block.loss -= (1 - settings.smoothing) * static_cast<double>(x[0]);
      }
    });
  }

  __device__ void complete(Row& row, Block& block, bool leads) const {
    const double total = row.state.total;
    if (leads && row.label >= 0) {
      block.loss += static_cast<double>(row.state.largest) + std::log(total);
    }
    row.of_softmax = static_cast<C>(1 / (total * block.counted));
  }

  // Of the loss by the logit: (softmax - target) / counted.
  __device__ C value(const Row& row, const Block& block, int64_t index, const C (&x)[1]) const {
    if (row.label < 0) {
      return 0;
    }
    const C softmax = std::exp(x[0] - row.state.largest) * row.of_softmax;
    return softmax - (static_cast<int>(index) == row.label ? block.of_label + block.of_spread
                                                           : block.of_spread);
  }

  // A row that is divided leaves its logits' terms in the first launch, behind the sums of the
  // second.
  __device__ void finish(const Block& block, rows::Part part) const {
    WARPTAPE_SHARED(bool, is_last, [1]);
    const unsigned blocks = gridDim.x * gridDim.y;
    const unsigned own = blockIdx.y * gridDim.x + blockIdx.x;
    const double sum = simt::block_sum(block.loss);
    if (part == rows::Part::States) {
      if (threadIdx.x == 0) {
        partials[blocks + own] = sum;
      }
      return;
    }
    if (threadIdx.x == 0) {
      partials[own] = sum;
      is_last[0] = blocks == 1 || simt::arrive_is_last(&counters->arrivals, blocks);
    }
    __syncthreads();
    if (!is_last[0]) {
      return;
    }
    const unsigned count = part == rows::Part::Values ? 2 * blocks : blocks;
    double total = 0;
#pragma unroll 4
    for (unsigned i = threadIdx.x; i < count; i += blockDim.x) {
      total += partials[i];
    }
    total = simt::block_sum(total);
    if (threadIdx.x == 0) {
      *loss = static_cast<T>(total / block.counted);
    }
  }
};

__global__ void __launch_bounds__(256)
    count_labels_kernel(const int64_t* labels, int64_t count, int64_t per_block,
                        int64_t ignore_index, on_cuda::CrossEntropyCounters* counters) {
  const int64_t begin = int64_t{blockIdx.x} * per_block;
  const int64_t end = begin + per_block < count ? begin + per_block : count;
  int64_t own = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    own += labels[i] != ignore_index ? 1 : 0;
  }
  own = simt::block_sum(own);
  if (threadIdx.x == 0) {
    atomicAdd(&counters->counted, static_cast<unsigned long long>(own));
  }
}

}  // namespace warptape::cross_entropy_detail
