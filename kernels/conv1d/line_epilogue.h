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
  bool lets_all_gradients_pass() const { return !relu && dropout == 0 && !relu_after; }
  double scale() const { return dropout > 0 ? 1 / (1 - dropout) : 1; }  // of what is kept
  // Whether the gradient of what the last ReLU was given is not that of the convolution's sums.
  bool has_two_gradients() const { return adds && (relu || dropout > 0); }

  // The same with one op more behind it; nothing where that op cannot be one of these.
  std::optional<LineEpilogue> then_relu() const;
  std::optional<LineEpilogue> then_dropout(double p, const RandomStream& by) const;
  std::optional<LineEpilogue> then_sum() const;
};

// The same for loops.
struct LineEpilogueLoops {
  // residual: row-major, of the output's shape, or nullptr. marks: which gradients pass
  // (gradient_marks.h); nullptr where they are not wanted.
  LineEpilogueLoops(const LineEpilogue& epilogue, const float* residual, uint8_t* marks);

  // Elements begin, ..., begin + count - 1 of the output y, in place.
  void apply(float* y, int64_t begin, int64_t count) const;

  bool relu;
  bool drops;
  RandomStream stream;
  uint32_t least = 0;  // the least word of an element that is kept
  float scale = 1;
  const float* residual;
  bool relu_after;
  uint8_t* marks;
};

// Gradients behind such a mask (core/gradient_mask.h).
struct LineMask {
  const uint8_t* marks;
  float scale;
  float* inner;
  float* outer;  // nullptr where it is not wanted

  // Of elements begin, ..., begin + count - 1 of `from`, which may be the outer gradient or, where
  // that is not wanted, the inner one.
  void apply(const float* from, int64_t begin, int64_t count) const;
};

}  // namespace warptape
