#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

#include "core/parallel.h"
#include "kernels/embedding/embedding_kernels.h"

namespace warptape {

BadRow embedding_forward_cpu(const Tensor& index, const Tensor& weight, Tensor& y) {
  const int64_t count = index.numel();
  const int64_t rows = weight.size(0);
  const int64_t columns = weight.size(1);
  const int64_t* places = index.data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    if (places[i] < 0 || places[i] >= rows) {
      return {i, places[i]};
    }
  }
  dispatch_floating(weight.dtype(), [&]<class T>() {
    const T* from = weight.data<T>();
    T* to = y.mutable_data<T>();
    parallel_for(count, default_grain / (columns + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        std::copy_n(from + places[i] * columns, columns, to + i * columns);
      }
    });
  });
  return {};
}

namespace {

// The rows of dy in the order of the rows that they go to.
struct Sorted {
  std::vector<int64_t> first;   // of each row, and what lies behind the last; of what goes nowhere
  std::vector<int64_t> places;  // rows of dy

  Sorted(const EmbeddingRows& rows, const int64_t* index)
      : first(static_cast<size_t>(rows.rows + 2), 0), places(static_cast<size_t>(rows.count)) {
    for (int64_t i = 0; i < rows.count; ++i) {
      ++first[static_cast<size_t>(rows.target(index[i]) + 1)];
    }
    std::partial_sum(first.begin(), first.end(), first.begin());
    std::vector<int64_t> next = first;
    for (int64_t i = 0; i < rows.count; ++i) {
      places[static_cast<size_t>(next[static_cast<size_t>(rows.target(index[i]))]++)] = i;
    }
  }
};

}  // namespace

void embedding_backward_cpu(const EmbeddingRows& rows, const Tensor& index, const Tensor& dy,
                            Tensor& dweight) {
  const Sorted sorted(rows, index.data<int64_t>());
  const int64_t columns = rows.columns;
  const int64_t per_row = columns * (rows.count / (rows.rows + 1) + 1);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* from = dy.data<T>();
    auto* to = dweight.mutable_data<Compute<T>>();
    parallel_for(rows.rows, default_grain / (per_row + 1) + 1, [&](int64_t begin, int64_t end) {
      std::vector<double> total(static_cast<size_t>(columns));
      std::vector<double> sum(static_cast<size_t>(columns));
      for (int64_t row = begin; row < end; ++row) {
        std::fill(total.begin(), total.end(), 0.0);
        const int64_t behind = sorted.first[static_cast<size_t>(row + 1)];
        int64_t at = sorted.first[static_cast<size_t>(row)];
        while (at < behind) {
          const int64_t piece_end = std::min((at / rows.piece + 1) * rows.piece, behind);
          std::fill(sum.begin(), sum.end(), 0.0);
          for (; at < piece_end; ++at) {
            const T* line = from + sorted.places[static_cast<size_t>(at)] * columns;
            for (int64_t c = 0; c < columns; ++c) {
              sum[static_cast<size_t>(c)] += static_cast<double>(line[c]);
            }
          }
          std::transform(total.begin(), total.end(), sum.begin(), total.begin(), std::plus<>());
        }
        for (int64_t c = 0; c < columns; ++c) {
          to[row * columns + c] = static_cast<Compute<T>>(total[static_cast<size_t>(c)]);
        }
      }
    });
  });
}

}  // namespace warptape
