#include "core/buffer.h"

#include "core/check.h"
#include "core/primitives.h"

namespace warptape {

Buffer::Buffer(const Tensor& value, BufferOptions options)
    : value_(value.detach()), options_(options) {}

Buffer::Buffer(const Buffer& other)
    : Member(other),
      value_(other.defined() ? other.value_.clone() : Tensor()),
      options_(other.options_) {}

Buffer& Buffer::operator=(const Buffer& other) {
  if (this == &other) {
    return *this;
  }
  const bool fits = defined() && other.defined() && value_.shape() == other.value_.shape() &&
                    value_.dtype() == other.value_.dtype();
  if (!fits) {
    return *this = Buffer(other);
  }
  assign(other.value_);
  options_ = other.options_;
  return *this;
}

void Buffer::assign(const Tensor& value, const Site& site) {
  check<ValueError>(defined(), site, "[assign] this buffer is undefined");
  check<ShapeError>(value.shape() == value_.shape(), site, "[assign] shape: got {}, wanted {}",
                    value.shape(), value_.shape());
  primitives::copy(value.detach().to(value_.dtype()).to(value_.device()), value_);
}

}  // namespace warptape
