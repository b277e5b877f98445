#pragma once
// What the stages of a stream (stages.h) and their kernels both know.

#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape::streaming {

enum class Activation { None, ReLU, Tanh, LeakyReLU, GELU, Gated };

// What a stage makes of the ring that it reads: a convolution, its row itself, or its row
// normalised over the channels.
enum class Source { Filters, Row, LayerNorm };

// The newest rows of a sequence, each the channels of one step: the row of step t is number t
// modulo `rows`. None where rows is 0.
struct Ring {
  int64_t offset = 0;  // of the first row in the memory of a stream, in elements
  int64_t rows = 0;
  int64_t stride = 0;  // elements from a row to the next
  int64_t channels = 0;
  int64_t history = 0;  // rows that are still read when a step begins

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
