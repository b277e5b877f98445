#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "kernels/optimizer/optimizer_step.h"

namespace warptape {
namespace {

template <class T>
void sgd_update(ParameterUpdate& update, const SgdConstants& constants, double learning_rate) {
  T* value = update.value.mutable_data<T>();
  const T* grad = update.grad.data<T>();
  T* buffer = update.first.defined() ? update.first.mutable_data<T>() : nullptr;
  const bool first = update.step == 1;  // the buffer starts as the gradient itself
  const T rate = static_cast<T>(learning_rate);
  const T momentum = static_cast<T>(constants.momentum);
  const T fresh = static_cast<T>(1 - constants.dampening);
  const T decay = static_cast<T>(constants.weight_decay);
  parallel_for(update.value.numel(), default_grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T direction = grad[i] + decay * value[i];
      if (buffer != nullptr) {
        const T velocity = first ? direction : momentum * buffer[i] + fresh * direction;
        buffer[i] = velocity;
        direction = constants.nesterov ? direction + momentum * velocity : velocity;
      }
      value[i] -= rate * direction;
    }
  });
}

template <class T>
void adam_update(ParameterUpdate& update, const AdamConstants& constants, double learning_rate) {
  T* value = update.value.mutable_data<T>();
  const T* grad = update.grad.data<T>();
  T* mean = update.first.mutable_data<T>();
  T* square = update.second.mutable_data<T>();
  const bool first = update.step == 1;  // the means start at zero
  const auto step = static_cast<double>(update.step);
  const double correction1 = 1 - std::pow(constants.beta1, step);
  const T root_correction2 = static_cast<T>(std::sqrt(1 - std::pow(constants.beta2, step)));
  const T rate = static_cast<T>(learning_rate / correction1);
  const T shrink =
      static_cast<T>(constants.decoupled ? 1 - learning_rate * constants.weight_decay : 1);
  const T decay = static_cast<T>(constants.decoupled ? 0 : constants.weight_decay);
  const T fresh1 = static_cast<T>(1 - constants.beta1);
  const T beta2 = static_cast<T>(constants.beta2);
  const T fresh2 = static_cast<T>(1 - constants.beta2);
  const T eps = static_cast<T>(constants.eps);
  parallel_for(update.value.numel(), default_grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T gradient = grad[i] + decay * value[i];
      const T old_mean = first ? T(0) : mean[i];
      const T old_square = first ? T(0) : square[i];
      mean[i] = old_mean + fresh1 * (gradient - old_mean);
      square[i] = beta2 * old_square + fresh2 * gradient * gradient;
      const T denominator = std::sqrt(square[i]) / root_correction2 + eps;
      value[i] = shrink * value[i] - rate * (mean[i] / denominator);
    }
  });
}

}  // namespace

void sgd_step_cpu(std::span<ParameterUpdate> updates, const SgdConstants& constants,
                  const StepScalars* scalars) {
  for (ParameterUpdate& update : updates) {
    dispatch_floating(update.value.dtype(),
                      [&]<class T>() { sgd_update<T>(update, constants, scalars->learning_rate); });
  }
}

void adam_step_cpu(std::span<ParameterUpdate> updates, const AdamConstants& constants,
                   const StepScalars* scalars) {
  for (ParameterUpdate& update : updates) {
    dispatch_floating(update.value.dtype(), [&]<class T>() {
      adam_update<T>(update, constants, scalars->learning_rate);
    });
  }
}

double sum_of_squares_cpu(std::span<const Tensor> tensors) {
  double total = 0;
  for (const Tensor& tensor : tensors) {
    constexpr int64_t block = 16384;
    const int64_t blocks = (tensor.numel() + block - 1) / block;
    std::vector<double> sums(static_cast<size_t>(blocks));
    dispatch_floating(tensor.dtype(), [&]<class T>() {
      const T* values = tensor.data<T>();
      parallel_for(blocks, 2, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          const int64_t last = std::min(tensor.numel(), (b + 1) * block);
          double lanes[8] = {};  // sums that need not wait for each other
          for (int64_t i = b * block; i < last; ++i) {
            lanes[i % 8] += static_cast<double>(values[i]) * values[i];
          }
          for (double lane : lanes) {
            sums[static_cast<size_t>(b)] += lane;
          }
        }
      });
    });
    for (double sum : sums) {
      total += sum;
    }
  }
  return total;
}

void scale_cpu(std::span<Tensor> tensors, double factor) {
  for (Tensor& tensor : tensors) {
    dispatch_floating(tensor.dtype(), [&]<class T>() {
      T* values = tensor.mutable_data<T>();
      parallel_for(tensor.numel(), default_grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          values[i] *= static_cast<T>(factor);
        }
      });
    });
  }
}

}  // namespace warptape
