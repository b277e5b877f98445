#include "core/dtype.h"

#include <fmt/format.h>

namespace warptape::detail {

void refuse_dtype(DType got, const char* wanted) {
  throw DTypeError(fmt::format("dtype: got {}, wanted {}", to_string(got), wanted));
}

void refuse_no_dtype(DType got) {
  throw DTypeError(fmt::format("dtype: got {}, which is none", static_cast<int>(got)));
}

}  // namespace warptape::detail
