#pragma once
// Rows along one dimension of a tensor in any memory format: what softmax and cross-entropy walk
// over, on the CPU and on CUDA.

#include "core/parallel.h"
#include "core/strided.h"
#include "core/tensor.h"
#include "kernels/rows/row_geometry.h"

namespace warptape {

struct AlongDim {
  int64_t length = 1;  // elements of a row
  int64_t stride = 1;  // between neighbours in a row
  int64_t rows = 1;
  StridedLoop<1> starts;  // where the rows start, in the memory order of the tensor

  // Calls body(offset of the first element) for the rows [begin, end).
  template <class Body>
  void for_each_row(int64_t begin, int64_t end, const Body& body) const {
    starts.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
      for (int64_t i = 0; i < n; ++i) {
        body(at[0] + i * step[0]);
      }
    });
  }
};

inline AlongDim along_dim(const Tensor& x, int dim) {
  Shape others = x.shape();
  AlongDim result;
  if (x.rank() == 0) {
    return result;
  }
  result.length = others[dim];
  others[dim] = 1;
  result.rows = others.numel();
  const Strides strides = x.strides();
  result.stride = strides[static_cast<size_t>(dim)];
  result.starts = make_strided_loop<1>(others, x.memory_format(), {strides});
  return result;
}

// The same for CUDA's kernels (rows.cuh).
inline rows::Extents extents_along(const Tensor& x, int dim) {
  rows::Extents extents;
  if (x.rank() > 0 && x.numel() > 0) {
    extents.length = x.shape()[dim];
    extents.inner = x.strides()[static_cast<size_t>(dim)];
    extents.outer = x.numel() / (extents.length * extents.inner);
  } else {
    extents.outer = x.numel();
  }
  return extents;
}

// Calls body(offset of the first element) for all rows, on several threads.
template <class Body>
void parallel_rows(const AlongDim& layout, const Body& body) {
  const int64_t grain = default_grain / (layout.length + 1) + 1;
  parallel_for(layout.rows, grain,
               [&](int64_t begin, int64_t end) { layout.for_each_row(begin, end, body); });
}

}  // namespace warptape
