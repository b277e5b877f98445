#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d_kernels.h"

namespace warptape {
namespace {

// How many places of `covered` are worth a thread.
int64_t grain_of(int64_t channels, const AdaptiveWindows& covered) {
  return default_grain / (channels * (covered.size / covered.windows + 2) + 1) + 1;
}

}  // namespace

void adaptive_max_pool1d_forward_cpu(const Tensor& x, const AdaptiveWindows& windows, Tensor& y,
                                     Tensor& indices) {
  const int64_t channels = x.size(1);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    T* py = y.mutable_data<T>();
    int64_t* pi = indices.mutable_data<int64_t>();
    const auto of_window = [&](int64_t place) {
      const T* line = px + place / windows.windows * windows.size * channels;
      T* best = py + place * channels;
      int64_t* index = pi + place * channels;
      const int64_t begin = windows.begin(place % windows.windows);
      const int64_t end = windows.end(place % windows.windows);
      std::copy_n(line + begin * channels, channels, best);
      std::fill_n(index, channels, begin);
      for (int64_t j = begin + 1; j < end; ++j) {
        for (int64_t c = 0; c < channels; ++c) {
          const T value = line[j * channels + c];
          // A NaN wins, and nothing replaces it.
          const bool larger = !(value <= best[c]) && best[c] == best[c];
          best[c] = larger ? value : best[c];
          index[c] = larger ? j : index[c];
        }
      }
    };
    parallel_for(y.size(0) * windows.windows, grain_of(channels, windows),
                 [&](int64_t first, int64_t last) {
                   for (int64_t place = first; place < last; ++place) {
                     of_window(place);
                   }
                 });
  });
}

void adaptive_max_pool1d_backward_cpu(const Tensor& dy, const Tensor& indices,
                                      const AdaptiveWindows& windows, Tensor& dx) {
  const int64_t channels = dx.size(1);
  const AdaptiveWindows covering = windows.inverse();
  const int64_t* pi = indices.data<int64_t>();
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    T* pdx = dx.mutable_data<T>();
    const auto body = [&](int64_t first, int64_t last) {
      std::vector<double> sums(static_cast<size_t>(channels));
      for (int64_t place = first; place < last; ++place) {
        const int64_t element = place % windows.size;
        const int64_t line = place / windows.size * windows.windows;
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t w = covering.begin(element); w < covering.end(element); ++w) {
          const int64_t at = (line + w) * channels;
          for (int64_t c = 0; c < channels; ++c) {
            sums[static_cast<size_t>(c)] +=
                pi[at + c] == element ? static_cast<double>(pdy[at + c]) : 0.0;
          }
        }
        for (int64_t c = 0; c < channels; ++c) {
          pdx[place * channels + c] = static_cast<T>(sums[static_cast<size_t>(c)]);
        }
      }
    };
    parallel_for(dx.size(0) * windows.size, grain_of(channels, covering), body);
  });
}

}  // namespace warptape
