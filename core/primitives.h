#pragma once
// The only arithmetic that core knows: what the tape itself needs. Nothing here is recorded on a
// tape: it is for what computes, behind an op. Tensor::to and Tensor::clone are recorded, and the
// differentiable ops live in kernels/.

#include "core/tensor.h"

namespace warptape::primitives {

void fill(Tensor& tensor, double value);

// to <- from, elements by logical index; same shape and dtype, any formats.
void copy(const Tensor& from, Tensor& to);

// to <- to + from, floating dtypes; same shape and dtype, any formats.
void add(const Tensor& from, Tensor& to);

// The same elements in this format where they lie alike in both, as those of one channel or of one
// place do: shares the storage. Else the tensor as it is.
Tensor relabelled(const Tensor& tensor, MemoryFormat format);

// The same elements in another memory format; shares the storage where they lie alike. An op
// that takes the result for an operand, or that of cast, gets an error from backward.
Tensor relayout(const Tensor& tensor, MemoryFormat format);

// The same elements as another dtype (C++ conversion); shares the storage if the dtype is the same.
Tensor cast(const Tensor& tensor, DType dtype);

// True if no element is infinite or NaN (floating dtypes).
bool all_finite(const Tensor& tensor);

}  // namespace warptape::primitives
