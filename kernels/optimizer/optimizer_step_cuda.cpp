#include "kernels/optimizer/optimizer_step_cuda.h"

#include <vector>

#include "kernels/optimizer/optimizer_step.h"

namespace warptape {
namespace {

template <class T>
T* data_or_null(Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data<T>() : nullptr;
}

template <class T, template <class> class Rule, class Constants>
void step_dtype(std::span<ParameterUpdate> updates, const Constants& constants, StepState& state) {
  auto* steps = state.steps.mutable_data<int64_t>();
  std::vector<UpdateEntry<T>> entries;
  entries.reserve(updates.size());
  for (ParameterUpdate& update : updates) {
    if (update.value.dtype() == dtype_of<T>()) {
      entries.push_back({.value = update.value.mutable_data<T>(),
                         .grad = update.grad.data<T>(),
                         .first = data_or_null<T>(update.first),
                         .second = data_or_null<T>(update.second),
                         .step = steps + update.entry,
                         .numel = update.value.numel()});
    }
  }
  auto* arrivals = reinterpret_cast<unsigned long long*>(state.arrivals.mutable_data<int64_t>());
  launch_optimizer_step<T, Rule>(entries, constants, state.learning_rate.data<double>(), arrivals,
                                 gpu::current_stream());
}

template <template <class> class Rule, class Constants>
void step_all(std::span<ParameterUpdate> updates, const Constants& constants, StepState& state) {
  for_each_floating([&]<class T>() { step_dtype<T, Rule>(updates, constants, state); });
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

void sgd_step_cuda(std::span<ParameterUpdate> updates, const SgdConstants& constants,
                   StepState& state) {
  step_all<SgdRule>(updates, constants, state);
}

void adam_step_cuda(std::span<ParameterUpdate> updates, const AdamConstants& constants,
                    StepState& state) {
  step_all<AdamRule>(updates, constants, state);
}

void clip_factor_cuda(std::span<const Tensor> tensors, double max_norm, Tensor& result) {
  int64_t count = 0;
  for (const Tensor& tensor : tensors) {
    count += count_of_chunk_norms(tensor.numel(), size_of(tensor.dtype()));
  }
  Tensor partial = Tensor::empty({count}, float64, result.device());
  auto* sums = partial.mutable_data<double>();
  const gpu::StreamHandle stream = gpu::current_stream();
  for_each_floating([&]<class T>() {
    sums += launch_chunk_norms<T>(entries_of<T, const T>(tensors), sums, stream);
  });
  launch_clip_factor(partial.data<double>(), count, max_norm, result.mutable_data<double>(),
                     stream);
}

void scale_by_factor_cuda(std::span<Tensor> tensors, const Tensor& result) {
  const auto* factor = result.data<double>();
  const gpu::StreamHandle stream = gpu::current_stream();
  for_each_floating([&]<class T>() { launch_scale<T>(entries_of<T, T>(tensors), factor, stream); });
}

}  // namespace warptape
