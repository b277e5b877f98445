#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "core/clones.h"
#include "core/parallel.h"
#include "kernels/optimizer/optimizer_step.h"
#include "kernels/reduce/robust_norm.h"

namespace warptape {
namespace {

// One parameter, element by element.
template <class T, class Rule>
struct Elements {
  static constexpr int64_t piece = 256;

  const Rule& rule;
  T* value;
  const T* grad;
  T* buffers[Rule::buffers];
  Compute<T> factor;  // of the gradient

  Elements(ParameterUpdate& update, const Rule& of)
      : rule(of),
        value(update.value.mutable_data<T>()),
        grad(update.grad.data<T>()),
        factor(static_cast<Compute<T>>(update.clip.defined() ? update.clip.data<double>()[1] : 1)) {
    for (size_t k = 0; k < Rule::buffers; ++k) {
      buffers[k] = update.buffers[k].defined() ? update.buffers[k].mutable_data<T>() : nullptr;
    }
  }

  // Piece by piece: a buffer that the rule does not use is scratch of a piece's size, so that one
  // loop without branches serves all.
  void update(int64_t first, int64_t last) const {
    update(first, last, std::make_index_sequence<Rule::buffers>());
  }

 private:
  template <size_t... I>
  void update(int64_t first, int64_t last, std::index_sequence<I...> /*buffers*/) const {
    T scratch[sizeof...(I)][piece] = {};
    for (int64_t begin = first; begin < last; begin += piece) {
      const int64_t end = std::min(begin + piece, last);
      T* const kept[] = {(buffers[I] != nullptr ? buffers[I] + begin : scratch[I])...};
      for (int64_t i = begin; i < end; ++i) {
        Compute<T> updated = value[i];
        Compute<T> own[] = {static_cast<Compute<T>>(kept[I][i - begin])...};
        const auto clipped = static_cast<T>(grad[i] * factor);
        rule(updated, static_cast<Compute<T>>(clipped), own);
        value[i] = static_cast<T>(updated);
        ((kept[I][i - begin] = static_cast<T>(own[I])), ...);
      }
    }
  }
};

// To lanes of sums that need not wait for each other.
template <class T>
WARPTAPE_INLINE void add_squares(const T* values, int64_t count, double factor, double* lanes) {
  const int64_t whole = count / 8 * 8;
  for (int64_t i = 0; i < whole; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) {
      const double value = values[i + lane] * factor;
      lanes[lane] += value * value;
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    const double value = values[i] * factor;
    lanes[i - whole] += value * value;
  }
}

// The usual type once per instruction set; overload resolution prefers this.
WARPTAPE_CLONES void add_squares(const float* values, int64_t count, double factor, double* lanes) {
  double own[8];  // in registers
  std::copy_n(lanes, 8, own);
  add_squares<float>(values, count, factor, own);
  std::copy_n(own, 8, lanes);
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
          double lanes[8] = {};
          add_squares(values + b * block, last - b * block, factor, lanes);
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

template <class T>
double norm_of_row(const T* row, int64_t length) {
  const auto squares = [&](double factor) {
    double lanes[8] = {};
    add_squares(row, length, factor, lanes);
    return std::accumulate(lanes, lanes + 8, 0.0);
  };
  const double sum = squares(1);
  return is_safe_sum_of_squares(sum) ? std::sqrt(sum)
                                     : robust_root(sum, squares(enlarging), squares(reducing));
}

// Row by row, so that a row is in the cache from its update to its projection.
template <class T, class Rule>
void step_rows(const Elements<T, Rule>& elements, Constraint constraint, int64_t rows,
               int64_t length) {
  parallel_for(rows, default_grain / length + 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      T* const w = elements.value + row * length;
      const double wanted = constraint == Constraint::UnitRows ? 1 : norm_of_row(w, length);
      elements.update(row * length, (row + 1) * length);
      const auto projection = RowProjection<T>::make(norm_of_row(w, length), wanted);
      for (int64_t i = 0; i < length; ++i) {
        w[i] = static_cast<T>(projection(w[i]));
      }
    }
  });
}

template <class T, class Rule>
void step_parameter(ParameterUpdate& update, const Rule& rule) {
  const Elements<T, Rule> elements(update, rule);
  const int64_t numel = update.value.numel();
  if (update.constraint == Constraint::None || numel == 0) {
    parallel_for(numel, default_grain,
                 [&](int64_t first, int64_t last) { elements.update(first, last); });
    return;
  }
  const int64_t rows = update.value.size(0);
  step_rows(elements, update.constraint, rows, numel / rows);
}

}  // namespace

template <class Constants>
void optimizer_step_cpu(std::span<ParameterUpdate> updates, const Constants& constants,
                        StepState& state) {
  const double learning_rate = *state.learning_rate.data<double>();
  auto* steps = state.steps.mutable_data<int64_t>();
  for (ParameterUpdate& update : updates) {
    const int64_t step = ++steps[update.entry];
    dispatch_floating(update.value.dtype(), [&]<class T>() {
      using Rule = typename Constants::template Rule<Compute<T>>;
      step_parameter<T>(update, Rule::make(constants, learning_rate, step));
    });
  }
}

#define WARPTAPE_INSTANTIATE(Constants, unused) \
  template void optimizer_step_cpu(std::span<ParameterUpdate>, const Constants&, StepState&);
WARPTAPE_OPTIMIZER_RULES(WARPTAPE_INSTANTIATE, )
#undef WARPTAPE_INSTANTIATE

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
