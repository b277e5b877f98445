#include "kernels/pad/pad.h"

#include <algorithm>

#include "core/check.h"
#include "core/checked_size.h"
#include "core/profile.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/regions/regions.h"

namespace warptape {
namespace {

// What of x stays, and where it lies in the result.
struct Padded {
  Shape shape;
  Box from;
  Box to;
};

Padded padded(const Operand& x, const std::vector<int64_t>& padding) {
  const Site& site = x.site();
  const auto pairs = static_cast<int>(padding.size() / 2);
  check<ShapeError>(padding.size() % 2 == 0 && pairs <= x.rank(), site,
                    "[pad] padding: got {} numbers, wanted pairs, at most one for each of the {} "
                    "dimensions of {}",
                    padding.size(), x.rank(), x.shape());
  Padded result{.shape = x.shape(), .from = box_of(x.shape()), .to = box_of(x.shape())};
  for (int pair = 0; pair < pairs; ++pair) {
    const int d = x.rank() - 1 - pair;
    const auto at = static_cast<size_t>(d);
    const int64_t before = padding[static_cast<size_t>(2 * pair)];
    const int64_t behind = padding[static_cast<size_t>(2 * pair + 1)];
    const int64_t size = x.shape()[d];
    const CheckedSize padded_size = CheckedSize(size) + before + behind;
    check<ShapeError>(padded_size.fits() && padded_size.value() >= 0, site,
                      "[pad] padding of dimension {}: got {} and {} for size {}, wanted 0 or more "
                      "elements, and fewer than 2^63",
                      d, before, behind, size);
    result.shape[d] = padded_size.value();
    // From the first element that stays to the one behind the last. Each end is taken away from
    // what there is: both together may take more, if the other adds.
    const int64_t first = std::min(std::max<int64_t>(-std::max(before, -size), 0), size);
    const int64_t end = std::max(size + std::max(std::min<int64_t>(behind, 0), -size), first);
    result.from.begin[at] = first;
    result.to.begin[at] = end > first ? std::max<int64_t>(before, 0) : 0;
    result.from.sizes[d] = end - first;
    result.to.sizes[d] = end - first;
  }
  check_countable("pad", "output", result.shape, x.dtype(), site);
  return result;
}

}  // namespace

Tensor pad(const Operand& x, const std::vector<int64_t>& padding, double value) {
  check_defined("pad", x);
  check_scalar("pad", x, value);
  const Padded plan = padded(x, padding);
  const profile::Range range("pad");
  Tensor y = Tensor::empty(plan.shape, x.dtype(), x.device(), x.memory_format());
  place_region("pad", x, region_of(x, plan.from), y, plan.to, value);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "pad", {&x}, {&y},
        [from = plan.from, to = plan.to, shape = x.shape(),
         padded = plan.shape](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(context, moving("pad", shape, from, padded, to));
          } else if (context.needs(0)) {
            const Tensor& dy = context.grad();
            give_back_region("pad", dy, region_of(dy, to), context.into(0), from);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
