#pragma once
// Mixed precision: the products of a model in bfloat16, everything that is kept in float32.

#include "layers/module.h"

namespace warptape {

// bfloat16: every Weight below `module` that a product reads reaches its op rounded to it, and
// activations are bfloat16 from the first such layer on. Parameters, their gradients, what an
// optimizer keeps, norms and sums stay float32 (or float64), and so do checkpoints. The model's
// output is bfloat16: a loss wants output.to(float32). Layers without products, norms among them,
// compute in the dtype of their input, with their parameters as they are. float32: as it was.
// ValueError for any other dtype; DTypeError, and nothing is changed, if a weight is not float32. A
// deep copy has its original's precision; loading and assigning change none.
void set_precision(Module& module, DType dtype, const Site& site = Site::here());

// The same by the name that commands have for it: "float32" or "bf16". ValueError for another.
void set_precision(Module& module, const std::string& name, const Site& site = Site::here());

// A model's output as losses and people read it: in float32 where it is bfloat16 (a recorded cast).
Tensor in_float32(const Tensor& output);

}  // namespace warptape
