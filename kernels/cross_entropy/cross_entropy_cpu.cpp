#include "kernels/cross_entropy/cross_entropy_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "core/strided.h"

namespace warptape {
namespace {

// The rows of the logits in the order of the row-major labels: (start of the logits, row number).
StridedLoop<2> row_loop(const Tensor& logits, const Tensor& labels) {
  Shape shape = logits.shape();
  shape[1] = 1;
  Strides label_strides{};
  const Strides own = labels.strides();
  for (int d = 0; d < logits.rank(); ++d) {
    label_strides[static_cast<size_t>(d)] =
        d == 1 ? 0 : own[static_cast<size_t>(d == 0 ? 0 : d - 1)];
  }
  return make_strided_loop<2>(shape, MemoryFormat::RowMajor, {logits.strides(), label_strides});
}

template <class Body>
void for_each_row(const Tensor& logits, const Tensor& labels, const Body& body) {
  const auto loop = row_loop(logits, labels);
  const int64_t grain = default_grain / (logits.shape()[1] + 1) + 1;
  parallel_for(labels.numel(), grain, [&](int64_t begin, int64_t end) {
    loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
      for (int64_t i = 0; i < n; ++i) {
        body(at[0] + i * step[0], at[1] + i * step[1]);
      }
    });
  });
}

}  // namespace

CountedLabels cross_entropy_forward_cpu(const Tensor& logits, const Tensor& labels,
                                        const CrossEntropyOptions& options,
                                        CrossEntropyState& state, Tensor& loss) {
  const int64_t classes = logits.shape()[1];
  const int64_t stride = logits.strides()[1];
  const int64_t* label = labels.data<int64_t>();
  const CountedLabels result = count_labels(labels, classes, options.ignore_index);
  if (result.bad_row >= 0) {
    return result;
  }
  dispatch_floating(logits.dtype(), [&]<class T>() {
    const T* x = logits.data<T>();
    double* log_sum = state.log_sums.mutable_data<double>();
    std::vector<double> losses(static_cast<size_t>(labels.numel()), 0.0);
    for_each_row(logits, labels, [&](int64_t start, int64_t row) {
      double largest = -std::numeric_limits<double>::infinity();
      for (int64_t c = 0; c < classes; ++c) {
        largest = std::max(largest, static_cast<double>(x[start + c * stride]));
      }
      double total = 0;
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) {
        const double value = x[start + c * stride];
        total += std::exp(value - largest);
        sum += value;
      }
      log_sum[row] = largest + std::log(total);
      if (label[row] == options.ignore_index) {
        return;
      }
      const double own = log_sum[row] - x[start + label[row] * stride];
      const double spread = log_sum[row] - sum / static_cast<double>(classes);
      const double smoothing = options.label_smoothing;
      losses[static_cast<size_t>(row)] =
          smoothing == 0 ? own : (1 - smoothing) * own + smoothing * spread;
    });
    double total = 0;
    for (double row_loss : losses) {
      total += row_loss;
    }
    *loss.mutable_data<T>() = static_cast<T>(
        options.reduction == Reduction::Mean ? total / static_cast<double>(result.counted) : total);
  });
  return result;
}

void cross_entropy_backward_cpu(const Tensor& dy, const Tensor& logits, const Tensor& labels,
                                const Tensor& log_sums, const CrossEntropyOptions& options,
                                int64_t counted, GradientTarget dlogits) {
  const int64_t classes = logits.shape()[1];
  const int64_t stride = logits.strides()[1];
  const int64_t* label = labels.data<int64_t>();
  const double* log_sum = log_sums.data<double>();
  dispatch_floating(logits.dtype(), [&]<class T>() {
    const T* x = logits.data<T>();
    T* to = dlogits.buffer.mutable_data<T>();
    const bool accumulate = dlogits.mode == WriteMode::Accumulate;
    const double scale =
        *dy.data<T>() / (options.reduction == Reduction::Mean ? static_cast<double>(counted) : 1.0);
    const double spread = options.label_smoothing / static_cast<double>(classes);
    for_each_row(logits, labels, [&](int64_t start, int64_t row) {
      const bool ignored = label[row] == options.ignore_index;
      for (int64_t c = 0; c < classes; ++c) {
        const int64_t at = start + c * stride;
        const double target = spread + (c == label[row] ? 1 - options.label_smoothing : 0.0);
        const double gradient = ignored ? 0.0 : scale * (std::exp(x[at] - log_sum[row]) - target);
        to[at] = static_cast<T>(accumulate ? to[at] + gradient : gradient);
      }
    });
  });
}

}  // namespace warptape
