#include "core/operand.h"

#include "core/check.h"

namespace warptape {

void check_defined(const char* op, const Operand& x) {
  check<Error>(x.defined(), x.site(), "[{}] got an undefined tensor: it was never given elements",
               op);
}

void check_floating(const char* op, const Operand& x) {
  check_defined(op, x);
  check<DTypeError>(is_floating(x.dtype()), x.site(), "[{}] dtype: got {}, wanted {}", op,
                    to_string(x.dtype()), floating_dtype_names);
}

void check_rank(const char* op, const Operand& x, int rank, const char* wanted) {
  check<ShapeError>(x.rank() == rank, x.site(), "[{}] shape: got {}, wanted {}", op, x.shape(),
                    wanted);
}

namespace {

void check_same_device(const char* op, const Operand& a, const Operand& b) {
  if (!(a.device() == b.device())) [[unlikely]] {  // before the message is made: every op asks
    throw DeviceError(fmt::format("[{}] devices: got {} and {}, wanted one device{}", op,
                                  to_string(a.device()), to_string(b.device()), at(a.site())));
  }
}

}  // namespace

void check_same_kind(const char* op, const Operand& a, const Operand& b) {
  check_defined(op, b);
  check<DTypeError>(a.dtype() == b.dtype(), a.site(),
                    "[{}] dtypes: got {} and {}, wanted one dtype", op, to_string(a.dtype()),
                    to_string(b.dtype()));
  check_same_device(op, a, b);
}

void check_bias_kind(const char* op, const Operand& a, const Operand& bias) {
  check_defined(op, bias);
  if (bias.dtype() == compute_dtype(a.dtype())) {
    check_same_device(op, a, bias);
  } else {
    check_same_kind(op, a, bias);
  }
}

void check_countable(const char* op, const char* what, const Shape& shape, DType dtype,
                     const Site& site) {
  check<ShapeError>(shape.is_countable(size_of(dtype)), site,
                    "[{}] {}: got shape {} of {}, wanted fewer than 2^63 bytes", op, what, shape,
                    to_string(dtype));
}

}  // namespace warptape
