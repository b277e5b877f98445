#pragma once
#include <memory>

#include "core/parameter.h"
#include "core/tensor.h"

namespace warptape {

// What a convolution's record leaves for that of a pooling behind it: the gradient of its bias is
// the sum over all but channels of the gradient that the pooling makes, and where the convolution
// would have to read that once more for it, the pooling can sum what it writes. The sums wait in
// the parameter's buffer, which stays marked as empty until the convolution's record takes it.
class GradientSums {
 public:
  explicit GradientSums(std::shared_ptr<ParameterState> bias) : bias_(std::move(bias)) {}

  // For the pooling: where sums of this dtype belong; undefined where the parameter has a gradient
  // to which they would have to be added.
  Tensor place(DType dtype) const {
    if (!bias_->grad_is_empty || bias_->value.dtype() != dtype) {
      return {};
    }
    if (!bias_->grad.defined()) {
      bias_->grad = Tensor::empty(bias_->value.shape(), dtype, bias_->value.device());
    }
    return bias_->grad;
  }
  void were_made(const Tensor& gradient, const Tensor& sums) {
    gradient_ = gradient.raw_data();
    version_ = gradient.version();
    sums_ = sums.raw_data();
  }

  // For the convolution: whether these are the sums of this gradient, in this buffer. Once.
  bool are_made(const Tensor& gradient, const Tensor& sums) {
    const bool result = gradient_ != nullptr && gradient.raw_data() == gradient_ &&
                        gradient.version() == version_ && sums.raw_data() == sums_;
    gradient_ = nullptr;
    return result;
  }

 private:
  const std::shared_ptr<ParameterState> bias_;
  const void* gradient_ = nullptr;
  uint64_t version_ = 0;
  const void* sums_ = nullptr;
};

}  // namespace warptape
