#include "kernels/reshape/reshape.h"

#include "core/check.h"
#include "core/checked_size.h"
#include "core/deferred.h"
#include "core/primitives.h"
#include "core/tape.h"

namespace warptape {
namespace {

Shape resolve_sizes(const Operand& x, const std::vector<int64_t>& sizes) {
  CheckedSize known = 1;
  bool empty = false;
  int inferred = -1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      check<ShapeError>(inferred < 0, x.site(),
                        "[reshape] sizes: got -1 twice, wanted once at most");
      inferred = static_cast<int>(i);
    } else {
      check<ShapeError>(sizes[i] >= 0, x.site(), "[reshape] size: got {}, wanted 0 or more, or -1",
                        sizes[i]);
      empty = empty || sizes[i] == 0;
      known = known * (sizes[i] == 0 ? 1 : sizes[i]);
    }
  }
  check<ShapeError>(known.fits(), x.site(),
                    "[reshape] sizes: got {}, whose product overflows 64 bits",
                    fmt::join(sizes, ", "));
  std::vector<int64_t> resolved = sizes;
  const int64_t count = empty ? 0 : known.value();
  if (inferred >= 0) {
    check<ShapeError>(!empty && x.numel() % count == 0, x.site(),
                      "[reshape] elements: got {} in shape {}, wanted a multiple of {}", x.numel(),
                      x.shape(), count);
    resolved[static_cast<size_t>(inferred)] = x.numel() / count;
  } else {
    check<ShapeError>(count == x.numel(), x.site(),
                      "[reshape] elements: got {} in shape {}, wanted {}", x.numel(), x.shape(),
                      count);
  }
  return Shape(resolved);
}

}  // namespace

Tensor reshape(const Operand& given, const std::vector<int64_t>& sizes) {
  check_defined("reshape", given);
  const Shape shape = resolve_sizes(given, sizes);
  const Operand x = in_format_if_waiting(given, MemoryFormat::RowMajor);
  Tensor y = primitives::relayout(x.tensor(), MemoryFormat::RowMajor).view(shape);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "reshape", {&x}, {&y},
        [shape = x.shape()](Backward& context) {
          if (context.needs(0)) {
            // The gradient of a row-major output is row-major; the tape brings it into x's format.
            Tensor dx = context.take_grad().view(shape);
            context.give(0, std::move(dx));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
