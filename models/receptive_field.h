#pragma once
// What an output of stacked, dilated convolutions sees of its sequence, in whole numbers.

#include <cstdint>
#include <span>
#include <vector>

#include "core/operand.h"

namespace warptape {

// One convolution of stride 1 in the stack.
struct DilatedKernel {
  int64_t size = 1;
  int64_t dilation = 1;
};

// Elements that an output depends on, itself among them: 1 + sum of (size - 1) dilation.
// ValueError for sizes or dilations below 1, or where the sum does not fit 64 bits.
int64_t receptive_field(std::span<const DilatedKernel> kernels);

// Of centred ("same") convolutions: how many elements after its own an output depends on. What a
// causal stack looks ahead is 0.
int64_t look_ahead(std::span<const DilatedKernel> kernels);

// Dilations 1, base, base^2, ... of `depth` blocks. ValueError for a base or depth below 1, or a
// dilation beyond 2^28, the largest that convolutions take.
std::vector<int64_t> dilations_of(int64_t base, int64_t depth);

// The least number of blocks, of `convolutions` each of this kernel size and dilations 1, base,
// base^2, ..., whose receptive field covers `length` elements. ValueError for a kernel size of 1
// and a length above 1, which no depth covers.
int64_t least_depth(int64_t length, int64_t kernel_size, int64_t base = 2,
                    int64_t convolutions = 2);

// What output number t of a sequence of `length` sees: so many of its elements, and so many zeros
// of the padding.
struct Coverage {
  int64_t elements = 0;
  int64_t padding = 0;
};
// field: a receptive field, of which `ahead` elements lie after the output's own.
Coverage coverage_of(int64_t t, int64_t length, int64_t field, int64_t ahead = 0);

}  // namespace warptape
