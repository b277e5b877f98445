#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/tensor.h"
#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d_kernels.h"

namespace warptape {
namespace {

// Element i of a line of `to` is the sum of those of `from` that the windows of that place cover,
// times share(i, j).
template <class Share>
void weighted_sums(const Tensor& from, const AdaptiveWindows& covered, const Share& share,
                   Tensor& to) {
  const int64_t channels = from.size(1);
  const int64_t lines = covered.size + covered.windows;
  const int64_t grain = default_grain / (channels * lines / covered.windows + 1) + 1;
  dispatch_floating(from.dtype(), [&]<class T>() {
    const T* px = from.data<T>();
    T* py = to.mutable_data<T>();
    parallel_for(to.size(0) * covered.windows, grain, [&](int64_t first, int64_t last) {
      std::vector<double> sums(static_cast<size_t>(channels));
      for (int64_t place = first; place < last; ++place) {
        const int64_t i = place % covered.windows;
        const T* line = px + place / covered.windows * covered.size * channels;
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t j = covered.begin(i); j < covered.end(i); ++j) {
          const double weight = share(i, j);
          for (int64_t c = 0; c < channels; ++c) {
            sums[static_cast<size_t>(c)] += weight * static_cast<double>(line[j * channels + c]);
          }
        }
        for (int64_t c = 0; c < channels; ++c) {
          py[place * channels + c] = static_cast<T>(sums[static_cast<size_t>(c)]);
        }
      }
    });
  });
}

}  // namespace

void adaptive_avg_pool1d_forward_cpu(const Tensor& x, const AdaptiveWindows& windows, Tensor& y) {
  weighted_sums(
      x, windows, [&](int64_t window, int64_t) { return windows.share(window); }, y);
}

void adaptive_avg_pool1d_backward_cpu(const Tensor& dy, const AdaptiveWindows& windows,
                                      Tensor& dx) {
  weighted_sums(
      dy, windows.inverse(), [&](int64_t, int64_t window) { return windows.share(window); }, dx);
}

}  // namespace warptape
