#include "kernels/matrix/run_product.h"

#include "core/check.h"

namespace warptape::matrix {

int index_of(const char* op, int64_t size) {
  constexpr int64_t most = (int64_t{1} << 31) - 65536;
  check<ValueError>(size <= most, "[{}] size on cuda: got {}, wanted at most {}", op, size, most);
  return static_cast<int>(size);
}

void check_elements(const char* op, const char* what, int64_t elements) {
  check<ValueError>(elements < int64_t{1} << 31,
                    "[{}] elements of {} on cuda: got {}, wanted less than 2^31", op, what,
                    elements);
}

}  // namespace warptape::matrix
