#include "kernels/reshape/reshape.h"

#include "core/primitives.h"
#include "core/tape.h"

namespace warptape {
namespace {

Shape resolve_sizes(const Operand& x, const std::vector<int64_t>& sizes) {
  int64_t known = 1;
  int inferred = -1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      check<ShapeError>(inferred < 0, x.site(),
                        "[reshape] sizes: got -1 twice, wanted once at most");
      inferred = static_cast<int>(i);
    } else {
      check<ShapeError>(sizes[i] >= 0, x.site(), "[reshape] size: got {}, wanted 0 or more, or -1",
                        sizes[i]);
      check<ShapeError>(!__builtin_mul_overflow(known, sizes[i], &known), x.site(),
                        "[reshape] sizes: their product overflows 64 bits");
    }
  }
  std::vector<int64_t> resolved = sizes;
  if (inferred >= 0) {
    check<ShapeError>(known > 0 && x.numel() % known == 0, x.site(),
                      "[reshape] elements: got {} in shape {}, wanted a multiple of {}", x.numel(),
                      x.shape(), known);
    resolved[static_cast<size_t>(inferred)] = x.numel() / known;
  } else {
    check<ShapeError>(known == x.numel(), x.site(),
                      "[reshape] elements: got {} in shape {}, wanted {}", x.numel(), x.shape(),
                      known);
  }
  return Shape(resolved);
}

}  // namespace

Tensor reshape(const Operand& x, const std::vector<int64_t>& sizes) {
  check_defined("reshape", x);
  const Shape shape = resolve_sizes(x, sizes);
  Tensor y = primitives::relayout(x.tensor(), MemoryFormat::RowMajor).view(shape);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record("reshape", {&x}, {&y}, [shape = x.shape()](Backward& context) {
      if (context.needs(0)) {
        // The gradient of a row-major output is row-major; the tape brings it into x's format.
        context.give(0, context.take_grad().view(shape));
      }
    });
  }
  return y;
}

}  // namespace warptape
