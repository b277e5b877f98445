#include "kernels/slice/slice.h"

#include <algorithm>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/profile_work.h"
#include "kernels/regions/regions.h"
#include "kernels/slice/place_masked_cuda.h"

namespace warptape {
namespace {

// Python's: an index that may count from the end, cut to 0 to size.
int64_t cut_to(int64_t index, int64_t size) {
  return index < 0 ? std::max<int64_t>(index, -size) + size : std::min(index, size);
}

}  // namespace

Tensor slice(const Operand& x, int dim, std::optional<int64_t> start, std::optional<int64_t> end,
             int64_t step) {
  check_defined("slice", x);
  const int d = normalized_dim(dim, x.rank(), "slice", x.site());
  check<ValueError>(step > 0, x.site(), "[slice] step: got {}, wanted 1 or more", step);
  const int64_t size = x.shape()[d];
  const int64_t begin = cut_to(start.value_or(0), size);
  const int64_t behind = std::max(cut_to(end.value_or(size), size), begin);
  const int64_t count = behind == begin ? 0 : (behind - begin - 1) / step + 1;
  if (count == size) {
    return x.tensor().slice(0, x.shape()[0], x.site());
  }
  if (d == 0 && step == 1) {
    return x.tensor().slice(begin, behind, x.site());
  }
  const profile::Range range("slice");
  Box box = box_of(x.shape());
  box.sizes[d] = count;
  box.begin[static_cast<size_t>(d)] = begin;
  box.step[static_cast<size_t>(d)] = step;
  Tensor y = Tensor::empty(box.sizes, x.dtype(), x.device(), x.memory_format());
  profile::note([&] { return profile::moved({&y}, {&y}); });
  move_region("slice", box.sizes, x, region_of(x, box), y, region_of(y), WriteMode::Overwrite);
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "slice", {&x}, {&y},
        [box, d, shape = x.shape()](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(context, moving("slice", shape, box, box.sizes, box_of(box.sizes)));
            return;
          }
          if constexpr (has_gpu) {
            if (give_masked_slice_cuda(context, box, d)) {
              return;
            }
          }
          if (context.needs(0)) {
            const Tensor& dy = context.grad();
            give_back_region("slice", dy, region_of(dy), context.into(0), box);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
