#pragma once
#include "core/tensor.h"

namespace warptape::primitives {

// As cast(), into a tensor that is there: of the same shape, device and memory format, and another
// dtype.
void cast_into(const Tensor& tensor, Tensor& result);

}  // namespace warptape::primitives
