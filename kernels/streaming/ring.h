#pragma once
// What the stages of a stream (stages.h) and their kernels both know.

#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape::streaming {

enum class Activation { None, ReLU, Tanh, LeakyReLU, GELU, Gated };

// What a stage makes of the ring that it reads: a convolution, one that makes a row of every
// `stride` rows, the transpose of one, which makes `stride` rows of every row, a row itself, or a
// row normalised over its channels.
enum class Source { Filters, Strided, Transposed, Row, LayerNorm };

// How many rows of a sequence there are for `steps` of the input: up / down of them.
struct Rate {
  int64_t up = 1;
  int64_t down = 1;

  WARPTAPE_HOST_DEVICE int64_t rows(int64_t steps) const {
    return down == 1 ? steps * up : steps * up / down;
  }
  bool operator==(const Rate&) const = default;
};

// The newest rows of a sequence, each the channels of one of its steps: the row of step t is number
// t modulo `rows`. None where rows is 0.
struct Ring {
  int64_t offset = 0;  // of the first row in the memory of a stream, in elements
  int64_t rows = 0;
  int64_t stride = 0;  // elements from a row to the next
  int64_t channels = 0;
  int64_t history = 0;  // rows that are still read when a step begins
  Rate rate{};

  // The number of the row of a step, which may lie before the first.
  WARPTAPE_HOST_DEVICE int64_t row_of(int64_t step) const {
    const int64_t row = step % rows;
    return row < 0 ? row + rows : row;
  }
  bool operator==(const Ring&) const = default;
};

struct StepStrides {
  int64_t stream = 0;
  int64_t channel = 0;
  int64_t step = 0;
};

inline constexpr int64_t not_ended = -1;

}  // namespace warptape::streaming
