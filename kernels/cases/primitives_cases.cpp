// How the kernels of core/primitives.h are measured. They are no ops: core's tests hold their
// values.

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

PreparedKernels fill(const Shape& shape, DType dtype) {
  return all_wide([x = on_cuda(shape, dtype)]() mutable { primitives::fill(x, 1); },
                  bytes_of(shape, dtype));
}

PreparedKernels copy(const Shape& shape, DType dtype) {
  return all_wide([from = on_cuda(shape, dtype),
                   to = on_cuda(shape, dtype)]() mutable { primitives::copy(from, to); },
                  2 * bytes_of(shape, dtype));
}

PreparedKernels cast(const Shape& shape, DType dtype) {
  const DType other = dtype == float32 ? float64 : float32;
  return all_wide([x = on_cuda(shape, dtype), other] { primitives::cast(x, other); },
                  bytes_of(shape, dtype) + bytes_of(shape, other));
}

PreparedKernels relayout(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 3 || shape.rank() == 4,
                    "[kernel] relayout: got shape {}, wanted 3 or 4 dimensions", shape);
  return all_wide(
      [x = on_cuda(shape, dtype)] { primitives::relayout(x, MemoryFormat::ChannelsLast); },
      2 * bytes_of(shape, dtype));
}

}  // namespace

void primitives_cases(CaseTable& table) {
  table.measured.push_back({"fill", "with one value", {512, 1024}, fill});
  table.measured.push_back({"copy", "within the device", {512, 1024}, copy});
  table.measured.push_back({"cast", "to the other floating dtype", {512, 1024}, cast});
  table.measured.push_back(
      {"relayout", "row-major to channels-last", {8, 64, 32, 32}, relayout, layout_bounds});
}

}  // namespace warptape
