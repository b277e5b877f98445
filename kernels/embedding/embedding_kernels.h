#pragma once
// index, of any shape, and y, of index's elements by D, are row-major; weight and dweight are (V,
// D). Outputs are overwritten; dweight is of compute_dtype: float32 beside bfloat16.

#include "core/tensor.h"
#include "kernels/embedding/embedding_rows.h"

namespace warptape {

// A place of the index whose value is no row.
struct BadRow {
  int64_t place = -1;  // the first such; -1: none
  int64_t value = 0;
};

BadRow embedding_forward_cpu(const Tensor& index, const Tensor& weight, Tensor& y);
// A bad index is reported, and its row is zeros.
void embedding_forward_cuda(const Tensor& index, const Tensor& weight, Tensor& y);
void embedding_backward_cpu(const EmbeddingRows& rows, const Tensor& index, const Tensor& dy,
                            Tensor& dweight);
void embedding_backward_cuda(const EmbeddingRows& rows, const Tensor& index, const Tensor& dy,
                             Tensor& dweight);

}  // namespace warptape
