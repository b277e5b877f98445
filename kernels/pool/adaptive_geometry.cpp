#include "kernels/pool/adaptive_geometry.h"

#include "core/check.h"
#include "kernels/pool/pool_windows.h"

namespace warptape {

AdaptiveWindows adaptive_windows(const char* op, const Operand& x, int64_t output_size) {
  check_floating(op, x);
  check_rank(op, x, 3, "(N, C, L)");
  check<ValueError>(output_size >= 1, x.site(), "[{}] output_size: got {}, wanted 1 or more", op,
                    output_size);
  const int64_t length = x.size(2);
  check<ShapeError>(length >= 1, x.site(), "[{}] input length: got 0, wanted 1 or more", op);
  for (const int64_t number : {output_size, length}) {
    check<ValueError>(number <= PoolGeometry::largest, x.site(),
                      "[{}] output_size and sequence: got {}, wanted at most {}", op, number,
                      PoolGeometry::largest);
  }
  check_countable(op, "output", {x.size(0), x.size(1), output_size}, x.dtype(), x.site());
  return {length, output_size};
}

}  // namespace warptape
