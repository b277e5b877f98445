#pragma once
// What a convolution along lines does with its sums while a cache has them, element by element:
// the ops behind it in a residual block.

#include <cstdint>
#include <optional>

#include "core/philox.h"
#include "core/tensor.h"

namespace warptape {

// In this order; what is not asked for is left out.
struct LineEpilogue {
  bool relu = false;
  double dropout = 0;   // its probability; some numbers of 32 bits lie above it
  RandomStream stream;  // as dropout() draws
  bool adds = false;    // a residual
  bool relu_after = false;

  bool is_empty() const { return !relu && dropout == 0 && !adds && !relu_after; }
  // The sign of what the first ReLU gave cannot be told from the output once something was added.
  bool keeps_signs() const { return relu && adds; }
  // Whether the gradient of what the last ReLU was given is not that of the convolution's sums.
  bool has_two_gradients() const { return adds && (relu || dropout > 0); }

  // The same with one op more behind it; nothing where that op cannot be one of these.
  std::optional<LineEpilogue> then_relu() const;
  std::optional<LineEpilogue> then_dropout(double p, const RandomStream& by) const;
  std::optional<LineEpilogue> then_sum() const;
};

// The same for loops.
struct LineEpilogueLoops {
  // residual: row-major, of the output's shape, or nullptr. signs: 1 where the gradient passes the
  // first ReLU and the dropout; nullptr where they are not wanted.
  LineEpilogueLoops(const LineEpilogue& epilogue, const float* residual, uint8_t* signs);

  // Elements begin, ..., begin + count - 1 of the output y, in place.
  void apply(float* y, int64_t begin, int64_t count) const;

  bool relu;
  bool drops;
  RandomStream stream;
  uint32_t least = 0;  // the least word of an element that is kept
  float scale = 1;
  const float* residual;
  bool relu_after;
  uint8_t* signs;
};

// `sum` holds dy when it begins, then the gradient of what the last ReLU was given, which is the
// residual's, and `to` that of the convolution's sums. They may be one tensor where there are no
// two gradients. y: the output; signs: as kept, or undefined.
void line_epilogue_backward(const LineEpilogue& epilogue, const Tensor& y, const Tensor& signs,
                            Tensor& sum, Tensor& to);

}  // namespace warptape
