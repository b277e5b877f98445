#pragma once
// What a model of sequences depends on, found by trying: the test of every computed receptive
// field.

#include <cstdint>
#include <vector>

#include "layers/module.h"

namespace warptape {

// The numbers of the elements that output number t of a sequence of `length` depends on, in
// ascending order. The model takes (N, input_channels, L) in float64 on the CPU and gives every
// step an output. All its weights become means of what they multiply and biases 0, and
// layer norms pass on what they get, so that no two paths of an impulse cancel each other: the
// model is of no other use then. An element is found where the gradient of the output is not 0.
// ValueError for a t that is not there.
std::vector<int64_t> impulse_test(Module& model, int64_t input_channels, int64_t length, int64_t t);

}  // namespace warptape
