#include "kernels/pool/pool_geometry.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/check.h"
#include "core/checked_size.h"
#include "core/parallel.h"

namespace warptape {
namespace {

int64_t pooled_size(const char* op, const Operand& x, int dim, int64_t kernel, int64_t stride,
                    int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t span = dilation * (kernel - 1) + 1;
  const int64_t room = x.size(dim) + 2 * padding - span;
  check<ShapeError>(room >= 0, x.site(),
                    "[{}] input {}: got {} with padding {}, wanted at least {} for kernel size {}",
                    op, dim == 2 ? "height" : "width", x.size(dim), padding, span, kernel);
  int64_t count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (count - 1) * stride >= x.size(dim) + padding) {
    --count;
  }
  return count;
}

[[noreturn]] void refuse(const char* op, const char* option, const Pair& got,
                         const std::string& wanted, const Site& site) {
  throw ValueError(fmt::format("[{}] {}: got {}, wanted {}", op, option, got.to_string(), wanted) +
                   at(site));
}

void check_at_least(const char* op, const char* option, const Pair& got, int64_t least,
                    const Site& site) {
  if (got.height < least || got.width < least) {
    refuse(op, option, got, fmt::format("{} or more", least), site);
  }
}

}  // namespace

PoolGeometry make_pool_geometry(const char* op, const Operand& x, Pair kernel_size, Pair stride,
                                Pair padding, Pair dilation, bool ceil_mode) {
  check_floating(op, x);
  check_rank(op, x, 4, "(N, C, H, W)");
  const Site& site = x.site();
  if (stride == Pair(0)) {
    stride = kernel_size;
  }
  check_at_least(op, "kernel_size", kernel_size, 1, site);
  check_at_least(op, "stride", stride, 1, site);
  check_at_least(op, "dilation", dilation, 1, site);
  if (padding.height < 0 || padding.width < 0 || padding.height > kernel_size.height / 2 ||
      padding.width > kernel_size.width / 2) {
    refuse(op, "padding", padding, "0 to half of the kernel size " + kernel_size.to_string(), site);
  }
  for (const int64_t number : {kernel_size.height, kernel_size.width, stride.height, stride.width,
                               dilation.height, dilation.width, x.size(2), x.size(3)}) {
    check<ValueError>(number <= PoolGeometry::largest, site,
                      "[{}] options and image: got {}, wanted at most {}", op, number,
                      PoolGeometry::largest);
  }
  if (kernel_size.height > std::numeric_limits<int>::max() / kernel_size.width) {
    refuse(op, "kernel_size", kernel_size, "fewer than 2^31 elements", site);
  }
  const PoolGeometry geometry{x.size(0),
                              x.size(1),
                              x.size(2),
                              x.size(3),
                              pooled_size(op, x, 2, kernel_size.height, stride.height,
                                          padding.height, dilation.height, ceil_mode),
                              pooled_size(op, x, 3, kernel_size.width, stride.width, padding.width,
                                          dilation.width, ceil_mode),
                              kernel_size,
                              stride,
                              padding,
                              dilation};
  const int64_t pixels =
      std::max(geometry.height * geometry.width, geometry.out_height * geometry.out_width);
  check<ShapeError>(pixels == 0 || geometry.channels <= std::numeric_limits<int>::max() / pixels,
                    site, "[{}] image: got shape {}, wanted fewer than 2^31 elements", op,
                    x.shape());
  check_countable(op, "output",
                  {geometry.batch, geometry.channels, geometry.out_height, geometry.out_width},
                  x.dtype(), site);
  return geometry;
}

int64_t pool_line_grain(const PoolGeometry& g) {
  const CheckedSize line_cost =
      CheckedSize(g.out_width) * g.channels * g.kernel.height * g.kernel.width;
  return default_grain / std::max<int64_t>(line_cost.capped(), 1) + 1;
}

}  // namespace warptape
