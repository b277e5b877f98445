#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "kernels/optimizer/optimizer_step.h"
#include "kernels/reduce/robust_norm.h"

namespace warptape {
namespace {

// An element as a rule updates it; nullptr: the rule does not use it.
template <class T>
struct Element {
  T* values;
  int64_t at;
  Compute<T> value;

  Element(T* from, int64_t i)
      : values(from), at(i), value(from == nullptr ? 0 : static_cast<Compute<T>>(from[i])) {}
  void store() const {
    if (values != nullptr) {
      values[at] = static_cast<T>(value);
    }
  }
};

template <class T, class Rule>
void apply(ParameterUpdate& update, const Rule& rule) {
  T* const value = update.value.mutable_data<T>();
  const T* const grad = update.grad.data<T>();
  T* const first = update.first.defined() ? update.first.mutable_data<T>() : nullptr;
  T* const second = update.second.defined() ? update.second.mutable_data<T>() : nullptr;
  const auto range = [&](int64_t begin, int64_t end, T* one, T* two) {
    for (int64_t i = begin; i < end; ++i) {
      Element<T> own(value, i);
      Element<T> buffer(one, i);
      Element<T> square(two, i);
      rule(own.value, static_cast<Compute<T>>(grad[i]), buffer.value, square.value);
      own.store();
      buffer.store();
      square.store();
    }
  };
  parallel_for(update.value.numel(), default_grain, [&](int64_t begin, int64_t end) {
    // Said outright, so that the compiler makes a loop of each.
    if (second != nullptr) {
      range(begin, end, first, second);
    } else if (first != nullptr) {
      range(begin, end, first, nullptr);
    } else {
      range(begin, end, nullptr, nullptr);
    }
  });
}

template <template <class> class Rule, class Constants>
void step_all(std::span<ParameterUpdate> updates, const Constants& constants, StepState& state) {
  const double learning_rate = *state.learning_rate.data<double>();
  auto* steps = state.steps.mutable_data<int64_t>();
  for (ParameterUpdate& update : updates) {
    const int64_t step = ++steps[update.entry];
    dispatch_floating(update.value.dtype(), [&]<class T>() {
      apply<T>(update, Rule<Compute<T>>::make(constants, learning_rate, step));
    });
  }
}

// Of the elements times factor.
double sum_of_squares(std::span<const Tensor> tensors, double factor) {
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
            const double value = values[i] * factor;
            lanes[i % 8] += value * value;
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

double norm_of(std::span<const Tensor> tensors) {
  const double sum = sum_of_squares(tensors, 1);
  if (is_safe_sum_of_squares(sum)) {
    return std::sqrt(sum);
  }
  return robust_root(sum, sum_of_squares(tensors, enlarging), sum_of_squares(tensors, reducing));
}

}  // namespace

void sgd_step_cpu(std::span<ParameterUpdate> updates, const SgdConstants& constants,
                  StepState& state) {
  step_all<SgdRule>(updates, constants, state);
}

void adam_step_cpu(std::span<ParameterUpdate> updates, const AdamConstants& constants,
                   StepState& state) {
  step_all<AdamRule>(updates, constants, state);
}

void clip_factor_cpu(std::span<const Tensor> tensors, double max_norm, Tensor& result) {
  auto* to = result.mutable_data<double>();
  to[0] = norm_of(tensors);
  to[1] = clip_factor(to[0], max_norm);
}

void scale_by_factor_cpu(std::span<Tensor> tensors, const Tensor& result) {
  const double factor = result.data<double>()[1];
  if (factor == 1) {
    return;
  }
  for (Tensor& tensor : tensors) {
    dispatch_floating(tensor.dtype(), [&]<class T>() {
      T* values = tensor.mutable_data<T>();
      parallel_for(tensor.numel(), default_grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          values[i] = static_cast<T>(values[i] * static_cast<Compute<T>>(factor));
        }
      });
    });
  }
}

}  // namespace warptape
