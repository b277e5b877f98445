#pragma once
// Inputs of a case, and how results are compared.

#include <gtest/gtest.h>

#include "core/tensor.h"
#include "kernels/cases/case.h"

namespace warptape {

// A case's inputs in a dtype (labels are int64) and in the case's memory formats. The same numbers
// for every dtype, up to rounding, and on every device.
std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device);
// The same, rounded to bfloat16 first: what a run in float64 has to get to be a reference for it.
std::vector<Tensor> make_rounded_inputs(const OpCase& op_case, DType dtype, Device device);
// The same in other memory formats, one per input.
std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device,
                                const std::vector<MemoryFormat>& formats);
// The formats that the case asks for, as far as the ranks of its inputs have them.
std::vector<MemoryFormat> formats_of(const OpCase& op_case);
// Tensors as references read them: float64 (labels stay) and row-major.
std::vector<Tensor> as_reference(const std::vector<Tensor>& tensors);

// `result` against the float64 reference, both in logical order. With unchanged tolerances a result
// of zeros must fail as well, unless the reference is zero too (up to rounding): a case that
// accepts zeros tests nothing. roundings: how many to bfloat16 a value of the result has behind it.
testing::AssertionResult matches(const Tensor& result, const Tensor& reference, Tolerance tolerance,
                                 DType dtype, double roundings = 1);

}  // namespace warptape
