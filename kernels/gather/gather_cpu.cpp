#include <algorithm>
#include <functional>
#include <mutex>

#include "core/parallel.h"
#include "kernels/gather/gather_kernels.h"

namespace warptape {

BadIndex gather_cpu(const GatherLoop& loop, const Tensor& x, const Tensor& index, Tensor& y) {
  BadIndex bad;
  std::mutex mutex;
  dispatch_all(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    const int64_t* places = index.data<int64_t>();
    T* to = y.mutable_data<T>();
    parallel_for(loop.loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          const int64_t place = places[at[1] + i * step[1]];
          if (place >= 0 && place < loop.line) {
            to[at[0] + i * step[0]] = from[at[2] + i * step[2] + place * loop.stride];
            continue;
          }
          const int64_t logical = at[3] + i * step[3];
          const std::lock_guard lock(mutex);
          if (bad.place < 0 || logical < bad.place) {
            bad = {logical, place};
          }
        }
      });
    });
  });
  return bad;
}

namespace {

// Where a line begins in dx, index and dy, and whether the index has it.
struct Line {
  int64_t at[3] = {};
  bool covered = true;
};

Line line_of(const GatherLines& lines, int64_t number) {
  Line line;
  for (int d = lines.rank - 1; d >= 0; --d) {
    const int64_t place = number % lines.extent[d];
    number /= lines.extent[d];
    line.covered = line.covered && place < lines.covered[d];
    for (int o = 0; o < 3; ++o) {
      line.at[o] += place * lines.stride[o][d];
    }
  }
  return line;
}

}  // namespace

void gather_backward_cpu(const GatherLines& lines, const Tensor& dy, const Tensor& index,
                         GradientTarget dx) {
  const int64_t* places = index.data<int64_t>();
  const bool accumulate = dx.mode == WriteMode::Accumulate;
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* from = dy.data<T>();
    T* to = dx.buffer.mutable_data<T>();
    const int64_t per_line = lines.line + lines.indices + 1;
    const int64_t grain = std::max<int64_t>(default_grain / per_line, 1);
    parallel_for(lines.lines, grain, [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(lines.line));
      std::vector<double> chunk(static_cast<size_t>(lines.chunks > 1 ? lines.line : 0));
      for (int64_t number = begin; number < end; ++number) {
        const Line line = line_of(lines, number);
        std::fill(sums.begin(), sums.end(), 0.0);
        const auto add_to = [&](std::vector<double>& to_sums, int64_t first, int64_t behind) {
          for (int64_t k = first; k < behind; ++k) {
            to_sums[static_cast<size_t>(places[line.at[1] + k * lines.along[1]])] +=
                static_cast<double>(from[line.at[2] + k * lines.along[2]]);
          }
        };
        if (line.covered && lines.chunks == 1) {
          add_to(sums, 0, lines.indices);
        }
        for (int64_t c = 0; line.covered && lines.chunks > 1 && c < lines.chunks; ++c) {
          const int64_t first = c * lines.chunk_length;
          std::fill(chunk.begin(), chunk.end(), 0.0);
          add_to(chunk, first, std::min(first + lines.chunk_length, lines.indices));
          std::transform(sums.begin(), sums.end(), chunk.begin(), sums.begin(), std::plus<>());
        }
        for (int64_t i = 0; i < lines.line; ++i) {
          T& element = to[line.at[0] + i * lines.along[0]];
          const auto sum = static_cast<T>(sums[static_cast<size_t>(i)]);
          element = accumulate ? static_cast<T>(element + sum) : sum;
        }
      }
    });
  });
}

}  // namespace warptape
