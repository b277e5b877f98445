#pragma once
// The dimensions that a reduction goes over.

#include "core/operand.h"
#include "kernels/reduce/reduce.h"

namespace warptape {

struct ReductionDims {
  DimMask reduced{};
  Shape kept;         // the input's shape with 1 in reduced dimensions
  Shape output;       // the same, without them unless keepdim
  int64_t count = 1;  // elements that are reduced to one
};

// `dims` may count from the end; empty means all. ShapeError if one is out of range or given twice.
ReductionDims reduction_dims(const char* op, const Operand& x, const std::vector<int>& dims,
                             bool keepdim);

// A row-major tensor for the result in which dimensions can still be told apart: give it dims.kept
// as shape, run the kernel, then view it as dims.output.
Strides kept_strides(const ReductionDims& dims);

}  // namespace warptape
