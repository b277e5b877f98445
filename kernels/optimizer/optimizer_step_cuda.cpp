#include "kernels/optimizer/optimizer_step_cuda.h"

#include <vector>

#include "core/device/arrivals.h"
#include "core/primitives.h"
#include "kernels/optimizer/optimizer_step.h"

namespace warptape {
namespace {

template <class T>
T* data_or_null(Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data<T>() : nullptr;
}

// Of {norm, factor}.
const double* factor_or_null(const Tensor& clip) {
  return clip.defined() ? clip.data<double>() + 1 : nullptr;
}

// Those of the weights that are normalised; what is theirs is without elements among `entries`
// then, and takes no part.
std::vector<NormalizedEntry> take_normalized(std::span<ParameterUpdate> updates,
                                             std::vector<UpdateEntry<float>>& entries) {
  std::vector<NormalizedEntry> weights;
  for (size_t i = 0; i < updates.size(); ++i) {
    if (!updates[i].normalized) {
      continue;
    }
    NormalizedWeight& weight = *updates[i].normalized;
    NormalizedEntry entry{};
    entry.v = entries[i];
    entries[i].numel = 0;
    if (weight.update_of_g >= 0) {
      UpdateEntry<float>& g = entries[static_cast<size_t>(weight.update_of_g)];
      entry.g = g;
      g.numel = 0;
    } else {
      entry.g.value = const_cast<float*>(weight.g.data<float>());
    }
    entry.w = weight.w.mutable_raw_data();
    entry.w_is_bfloat16 = weight.w.dtype() == bfloat16;
    entry.inv_norm = weight.inv_norm.mutable_data<double>();
    entry.rows = updates[i].value.size(0);
    entry.length = updates[i].value.numel() / entry.rows;
    weights.push_back(entry);
  }
  return weights;
}

// The same of those under a constraint.
template <class T>
std::vector<ConstrainedEntry<T>> take_constrained(std::span<const ParameterUpdate> updates,
                                                  std::vector<UpdateEntry<T>>& entries) {
  std::vector<ConstrainedEntry<T>> weights;
  for (size_t i = 0; i < updates.size(); ++i) {
    if (updates[i].constraint != Constraint::None && entries[i].numel > 0) {
      ConstrainedEntry<T>& weight = weights.emplace_back();
      weight.update = entries[i];
      weight.update.rounded = nullptr;
      weight.rounded = entries[i].rounded;
      weight.length = entries[i].numel / updates[i].value.size(0);
      weight.constraint = updates[i].constraint;
      entries[i].numel = 0;
    }
  }
  return weights;
}

template <class T, class Constants>
void step_dtype(std::span<ParameterUpdate> updates, const Constants& constants, StepState& state) {
  using Rule = typename Constants::template Rule<Compute<T>>;
  auto* steps = state.steps.mutable_data<int64_t>();
  // Of each update, then of those that are none of a weight's.
  std::vector<UpdateEntry<T>> entries;
  entries.reserve(updates.size());
  for (ParameterUpdate& update : updates) {
    if (update.value.dtype() != dtype_of<T>()) {
      entries.push_back({});
    } else {
      UpdateEntry<T> entry{.value = update.value.mutable_data<T>(),
                           .grad = update.grad.data<T>(),
                           .buffers = {},
                           .step = steps + update.entry,
                           .factor = factor_or_null(update.clip),
                           .rounded = data_or_null<simt::bfloat16>(update.rounded),
                           .numel = update.value.numel()};
      for (int k = 0; k < Rule::buffers; ++k) {
        entry.buffers[k] = data_or_null<T>(update.buffers[static_cast<size_t>(k)]);
      }
      entries.push_back(entry);
    }
  }
  auto* arrivals = reinterpret_cast<unsigned long long*>(state.arrivals.mutable_data<int64_t>());
  if constexpr (is_weight_rule<Constants>) {
    launch_constrained_step<T>(take_constrained<T>(updates, entries), constants,
                               state.learning_rate.data<double>(), arrivals, gpu::current_stream());
  }
  if constexpr (std::is_same_v<T, float> && is_weight_rule<Constants>) {
    const std::vector<NormalizedEntry> weights = take_normalized(updates, entries);
    if (!weights.empty()) {
      launch_normalizing_step(std::span<const UpdateEntry<float>>(entries), weights, constants,
                              state.learning_rate.data<double>(), arrivals, gpu::current_stream());
      return;
    }
  }
  launch_optimizer_step<T>(entries, constants, state.learning_rate.data<double>(), arrivals,
                           gpu::current_stream());
}

template <class T, class Element>
std::vector<SpanEntry<Element>> entries_of(std::span<const Tensor> tensors) {
  std::vector<SpanEntry<Element>> entries;
  entries.reserve(tensors.size());
  for (Tensor tensor : tensors) {
    if (tensor.dtype() == dtype_of<T>()) {
      if constexpr (std::is_const_v<Element>) {
        entries.push_back({tensor.data<T>(), tensor.numel()});
      } else {
        entries.push_back({tensor.mutable_data<T>(), tensor.numel()});
      }
    }
  }
  return entries;
}

}  // namespace

template <class Constants>
void optimizer_step_cuda(std::span<ParameterUpdate> updates, const Constants& constants,
                         StepState& state) {
  for_each_floating([&]<class T>() { step_dtype<T>(updates, constants, state); });
}

#define WARPTAPE_INSTANTIATE(Constants, unused) \
  template void optimizer_step_cuda(std::span<ParameterUpdate>, const Constants&, StepState&);
WARPTAPE_OPTIMIZER_RULES(WARPTAPE_INSTANTIATE, )
#undef WARPTAPE_INSTANTIATE

bool step_can_normalize_cuda(const ParameterUpdate& update, const NormalizedWeight& weight) {
  if (update.value.dtype() != float32 || update.value.numel() == 0) {
    return false;
  }
  const auto is_aligned = [](const Tensor& tensor) {
    return !tensor.defined() || reinterpret_cast<uintptr_t>(tensor.raw_data()) % 16 == 0;
  };
  bool aligned = is_aligned(update.value) && is_aligned(update.grad) && is_aligned(weight.g) &&
                 is_aligned(weight.w) && is_aligned(weight.inv_norm);
  for (const Tensor& buffer : update.buffers) {
    aligned = aligned && is_aligned(buffer);
  }
  return step_can_normalize(update.value.numel() / update.value.size(0), aligned);
}

void clip_factor_cuda(std::span<const Tensor> tensors, double max_norm, Tensor& result) {
  int64_t count = 0;
  for (const Tensor& tensor : tensors) {
    count += count_of_chunk_norms(tensor.numel(), size_of(tensor.dtype()));
  }
  if (count == 0) {  // nobody would write the result
    Tensor norm = result.slice(0, 1);
    Tensor factor = result.slice(1, 2);
    primitives::fill(norm, 0);
    primitives::fill(factor, clip_factor(0, max_norm));
    return;
  }
  Tensor partial = Tensor::empty({count}, float64, result.device());
  auto* norms = partial.mutable_data<double>();
  const gpu::StreamHandle stream = gpu::current_stream();
  const AllNorms all{.norms = norms,
                     .count = count,
                     .max_norm = max_norm,
                     .result = result.mutable_data<double>(),
                     .arrivals = gpu::arrival_counters(stream, 1)};
  for_each_floating([&]<class T>() {
    norms += launch_gradient_norm<T>(entries_of<T, const T>(tensors), norms, all, stream);
  });
}

void scale_by_factor_cuda(std::span<Tensor> tensors, const Tensor& result) {
  const auto* factor = result.data<double>();
  const gpu::StreamHandle stream = gpu::current_stream();
  for_each_floating([&]<class T>() { launch_scale<T>(entries_of<T, T>(tensors), factor, stream); });
}

}  // namespace warptape
