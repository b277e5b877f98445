#include "core/parameter.h"

#include "core/primitives.h"

namespace warptape {

Parameter::Parameter(const Tensor& value) : Parameter() {
  state_->value = value.detach();
}

Parameter::Parameter(const Parameter& other) : Parameter() {
  if (other.defined()) {
    state_->value = other.value().clone();
    state_->requires_grad = other.requires_grad();
  }
}

Parameter& Parameter::operator=(const Parameter& other) {
  if (this != &other) {
    *this = Parameter(other);
  }
  return *this;
}

void Parameter::assign(const Tensor& value, const Site& site) {
  check<ShapeError>(value.shape() == state_->value.shape(), site,
                    "[assign] shape: got {}, wanted {}", value.shape(), state_->value.shape());
  Tensor& own = state_->value;
  primitives::copy(primitives::cast(value, own.dtype()).to(own.device()), own);
}

}  // namespace warptape
