#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "kernels/nll_loss/nll_loss_kernels.h"
#include "kernels/rows/along_dim.h"

namespace warptape {
namespace {

// Where row i of the scores has its class c.
int64_t place_of(const rows::Extents& extents, int64_t row, int64_t label) {
  return (row / extents.inner * extents.length + label) * extents.inner + row % extents.inner;
}

}  // namespace

CountedLabels nll_loss_forward_cpu(const NllLossCall& call, const Tensor& input,
                                   const Tensor& labels, Tensor& counted, Tensor& y) {
  const CountedLabels result = count_labels(labels, input.shape()[1], call.ignore_index);
  if (result.bad_row >= 0) {
    return result;
  }
  *counted.mutable_data<double>() = static_cast<double>(result.counted);
  constexpr int64_t chunk = 8192;
  const int64_t chunks = (labels.numel() + chunk - 1) / chunk;
  const rows::Extents extents = extents_along(input, 1);
  const int64_t* label = labels.data<int64_t>();
  std::vector<double> sums(static_cast<size_t>(chunks), 0.0);
  dispatch_floating(input.dtype(), [&]<class T>() {
    const T* x = input.data<T>();
    T* to = y.mutable_data<T>();
    parallel_for(chunks, default_grain / chunk, [&](int64_t first, int64_t last) {
      for (int64_t row = first * chunk; row < std::min(labels.numel(), last * chunk); ++row) {
        const bool ignored = label[row] == call.ignore_index;
        const Compute<T> value =
            ignored ? Compute<T>(0)
                    : -static_cast<Compute<T>>(x[place_of(extents, row, label[row])]);
        if (call.each) {
          to[row] = static_cast<T>(value);
        } else {
          sums[static_cast<size_t>(row / chunk)] += static_cast<double>(value);
        }
      }
    });
    if (!call.each) {
      double sum = 0;
      for (double of_chunk : sums) {
        sum += of_chunk;
      }
      *to = static_cast<T>(call.mean ? sum / static_cast<double>(result.counted) : sum);
    }
  });
  return result;
}

void nll_loss_backward_cpu(const NllLossCall& call, const Tensor& dy, const Tensor& labels,
                           const Tensor& counted, GradientTarget dinput) {
  const rows::Extents extents = extents_along(dinput.buffer, 1);
  const int64_t* label = labels.data<int64_t>();
  const bool add = dinput.mode == WriteMode::Accumulate;
  dispatch_floating(dy.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T* seed = dy.data<T>();
    T* to = dinput.buffer.mutable_data<T>();
    if (!add) {
      std::fill_n(to, dinput.buffer.numel(), static_cast<T>(0.0f));
    }
    const double by = call.mean ? *counted.data<double>() : 1;
    parallel_for(labels.numel(), default_grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        if (label[row] == call.ignore_index) {
          continue;
        }
        T& element = to[place_of(extents, row, label[row])];
        const auto own = static_cast<double>(static_cast<C>(seed[call.each ? row : 0]));
        element = written(add, element, static_cast<C>(-own / by));
      }
    });
  });
}

}  // namespace warptape
