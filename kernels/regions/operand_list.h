#pragma once
// Ops of a list of tensors.

#include <functional>
#include <vector>

#include "core/tape.h"

namespace warptape {

// At least one, each defined, all of one dtype and on one device.
void check_list(const char* op, const std::vector<Operand>& tensors);

// Records y = op(tensors) where a tape wants it; gradient(context, i) makes that of tensor i, and
// is called where it is wanted. It can create a graph.
void record_list(const char* op, const std::vector<Operand>& tensors, Tensor& y,
                 std::function<void(Backward& context, int input)> gradient);

}  // namespace warptape
