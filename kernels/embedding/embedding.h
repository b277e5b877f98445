#pragma once
#include <optional>

#include "core/operand.h"

namespace warptape {

struct EmbeddingOptions {
  // A row that gets no gradient; it counts from the end if it is negative.
  std::optional<int64_t> padding_idx = {};
};

// Rows of a table, as torch.nn.functional.embedding: y[i] = weight[index[i]].
//   index: int64, any shape. Values from 0 to V - 1, else ValueError with the value and its place;
//     on "cuda" that comes with the next synchronisation.
//   weight: (V, D), floating, on index's device
//   result: index's shape and D behind it, weight's dtype, row-major
// Differentiable by weight: the gradients of a row that was taken several times are summed in
// float64, in the order of the index, by pieces that depend on the index alone: the bits are the
// same in every run and on every device. Time and memory of backward grow with the index and with
// the table, not with their product.
Tensor embedding(const Operand& index, const Operand& weight, EmbeddingOptions options = {});

}  // namespace warptape
