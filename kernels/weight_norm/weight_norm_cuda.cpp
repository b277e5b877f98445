#include "kernels/weight_norm/weight_norm_cuda.h"

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/weight_norm/weight_norm_kernels.h"

namespace warptape {
namespace {

// Scratch for these weights; null where their slices stay on chip.
template <class Weight>
Tensor scratch_for(const std::vector<Weight>& weights) {
  int64_t count = 0;
  for (const Weight& weight : weights) {
    count += weight_norm_scratch(weight);
  }
  return count == 0 ? Tensor() : Tensor::empty({count}, float64, cuda);
}

double* pointer_or_null(Tensor& scratch) {
  return scratch.defined() ? scratch.mutable_data<double>() : nullptr;
}

template <class T, class W>
void launch_forward(const std::vector<WeightNormForward<T, W>>& weights) {
  if (weights.empty()) {
    return;
  }
  Tensor scratch = scratch_for(weights);
  launch_weight_norm_forward<T, W>(weights, pointer_or_null(scratch), gpu::current_stream());
}

// Those of them whose v is of T and whose w is of W.
template <class T, class W>
void forward(std::span<WeightNormRows> all) {
  std::vector<WeightNormForward<T, W>> weights;
  for (WeightNormRows& one : all) {
    if (one.v.dtype() == dtype_of<T>() && one.w.dtype() == dtype_of<W>()) {
      weights.push_back({.v = one.v.data<T>(),
                         .g = one.g.data<T>(),
                         .w = one.w.mutable_data<W>(),
                         .norm = nullptr,
                         .inv_norm = one.inv_norm.mutable_data<double>(),
                         .rows = one.slices.count(),
                         .length = one.slices.length(),
                         .places = one.slices});
    }
  }
  launch_forward(weights);
}

template <class T>
void backward(std::span<WeightNormGradient> all) {
  std::vector<WeightNormBackward<T>> weights;
  for (WeightNormGradient& one : all) {
    if (one.v.dtype() == dtype_of<T>()) {
      weights.push_back({.dw = one.dw.data<T>(),
                         .v = one.v.data<T>(),
                         .g = one.g.data<T>(),
                         .inv_norm = one.inv_norm.data<double>(),
                         .dv = one.dv.buffer.defined() ? one.dv.buffer.mutable_data<T>() : nullptr,
                         .dg = one.dg.buffer.defined() ? one.dg.buffer.mutable_data<T>() : nullptr,
                         .rows = one.slices.count(),
                         .length = one.slices.length(),
                         .add_v = one.dv.mode == WriteMode::Accumulate,
                         .add_g = one.dg.mode == WriteMode::Accumulate,
                         .places = one.slices});
    }
  }
  if (weights.empty()) {
    return;
  }
  Tensor scratch = scratch_for(weights);
  launch_weight_norm_backward<T>(weights, pointer_or_null(scratch), gpu::current_stream());
}

struct Computed {
  gpu::Event event;
  gpu::StreamHandle stream = nullptr;
};

// Events that nobody waits for any more: making one is a call of the driver, which every training
// step would pay for. Never destroyed, as weights in static objects outlive main.
struct IdleEvents {
  std::mutex mutex;
  std::vector<std::unique_ptr<Computed>> events;

  std::unique_ptr<Computed> take() {
    const std::lock_guard lock(mutex);
    if (events.empty()) {
      return std::make_unique<Computed>();
    }
    std::unique_ptr<Computed> event = std::move(events.back());
    events.pop_back();
    return event;
  }
  void give_back(Computed* event) {
    std::unique_ptr<Computed> owned(event);
    try {
      const std::lock_guard lock(mutex);
      events.push_back(std::move(owned));
    } catch (...) {
      // Out of memory: there is one event less.
    }
  }
};
IdleEvents& idle_events() {
  static auto* instance = new IdleEvents;
  return *instance;
}

}  // namespace

std::shared_ptr<const void> weight_norm_computed_cuda() {
  if (gpu::is_capturing()) {
    return nullptr;
  }
  const std::shared_ptr<Computed> computed(idle_events().take().release(),
                                           [](Computed* event) { idle_events().give_back(event); });
  computed->stream = gpu::current_stream();
  computed->event.record(computed->stream);
  return computed;
}

void wait_for_weight_norm_cuda(const void* computed) {
  const auto* known = static_cast<const Computed*>(computed);
  if (known != nullptr && known->stream != gpu::current_stream() && !gpu::is_capturing()) {
    known->event.make_wait(gpu::current_stream());
  }
}

void weight_norm_forward_cuda(std::span<WeightNormRows> weights) {
  for_each_floating([&]<class T>() { forward<T, T>(weights); });
  forward<float, simt::bfloat16>(weights);
}

void weight_norm_backward_cuda(std::span<WeightNormGradient> weights) {
  for_each_floating([&]<class T>() { backward<T>(weights); });
}

void norms_of_slices_cuda(const Tensor& v, const NormSlices& slices, Tensor& norm) {
  dispatch_floating(v.dtype(), [&]<class T>() {
    launch_forward<T, T>({{.v = v.data<T>(),
                           .g = nullptr,
                           .w = nullptr,
                           .norm = norm.mutable_data<T>(),
                           .inv_norm = nullptr,
                           .rows = slices.count(),
                           .length = slices.length(),
                           .places = slices}});
  });
}

}  // namespace warptape
