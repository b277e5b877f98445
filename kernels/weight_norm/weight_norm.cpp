#include "kernels/weight_norm/weight_norm.h"

#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/weight_norm/weight_norm_kernels.h"

namespace warptape {
namespace {

Shape norm_shape(const Shape& v) {
  Shape shape = v;
  for (int d = 1; d < v.rank(); ++d) {
    shape[d] = 1;
  }
  return shape;
}

void check_arguments(const Operand& v, const Operand& g) {
  check_floating("weight_norm", v);
  check_same_kind("weight_norm", v, g);
  check<ShapeError>(v.rank() >= 1, v.site(), "[weight_norm] v: got a scalar, wanted (O, ...)");
  check<ShapeError>(g.shape() == norm_shape(v.shape()), v.site(),
                    "[weight_norm] g: got shape {}, wanted {} for v of shape {}", g.shape(),
                    norm_shape(v.shape()), v.shape());
}

bool is_fresh(const WeightNormCache& cache, const Tensor& v, const Tensor& g) {
  return cache.w.defined() && cache.v.shares_storage_with(v) && cache.g.shares_storage_with(g) &&
         cache.v_version == v.version() && cache.g_version == g.version();
}

// Where w and its norms are to be computed; the cache is not fresh until then.
WeightNormRows place_in(WeightNormCache& cache, const Tensor& rows, const Tensor& g) {
  const bool fits = cache.w.defined() && cache.w.shape() == rows.shape() &&
                    cache.w.dtype() == rows.dtype() && cache.w.device() == rows.device();
  if (!fits) {
    cache.w = Tensor::empty_like(rows);
    cache.inv_norm = Tensor::empty({rows.size(0)}, float64, rows.device());
  }
  cache.v = Tensor();
  return {rows, g, cache.w, cache.inv_norm};
}

void remember(WeightNormCache& cache, const Tensor& v, const Tensor& g) {
  cache.v = v.detach();
  cache.g = g.detach();
  cache.v_version = v.version();
  cache.g_version = g.version();
}

// Each device computes its own.
template <class Weight, class Cpu, class Gpu>
void run(std::span<const Weight> weights, const Cpu& cpu_kernel, const Gpu& gpu_kernel) {
  std::vector<Weight> of_device[2];
  for (const Weight& weight : weights) {
    of_device[weight.v.device().type == DeviceType::CPU ? 0 : 1].push_back(weight);
  }
  for (std::vector<Weight>& all : of_device) {
    if (!all.empty()) {
      on_device(
          "weight_norm", all[0].v.device(), [&] { cpu_kernel(std::span(all)); },
          [&] { gpu_kernel(std::span(all)); });
    }
  }
}

struct SavedWeight {
  Saved v, g, inv_norm;
  bool row_major;  // v itself
};

// Inputs v and g of one weight after the other, outputs their w.
void backward(Backward& context, const std::vector<SavedWeight>& saved) {
  std::vector<WeightNormGradient> gradients;
  std::vector<int> givers;  // inputs whose format differs from the gradient's
  for (size_t i = 0; i < saved.size(); ++i) {
    const int v = 2 * static_cast<int>(i);
    const int g = v + 1;
    if (!context.has_grad(static_cast<int>(i)) || (!context.needs(v) && !context.needs(g))) {
      continue;
    }
    WeightNormGradient gradient{
        context.grad(static_cast<int>(i)), saved[i].v.get(),           saved[i].g.get(),
        saved[i].inv_norm.get(),           {{}, WriteMode::Overwrite}, {{}, WriteMode::Overwrite}};
    int giver = -1;
    if (context.needs(v) && saved[i].row_major) {
      gradient.dv = context.into(v);
    } else if (context.needs(v)) {
      gradient.dv.buffer = Tensor::empty_like(gradient.v);
      giver = v;
    }
    if (context.needs(g)) {
      gradient.dg = context.into(g);
    }
    gradients.push_back(gradient);
    givers.push_back(giver);
  }
  run<WeightNormGradient>(
      gradients, [](auto all) { weight_norm_backward_cpu(all); },
      [](auto all) { weight_norm_backward_cuda(all); });
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (givers[i] >= 0) {
      context.give(givers[i], std::move(gradients[i].dv.buffer));
    }
  }
}

// As one op, those that are not on the innermost tape yet.
void record(std::span<const WeightNormUse> weights, const std::vector<Tensor>& rows) {
  Tape* tape = nullptr;
  std::vector<const Operand*> inputs;
  std::vector<Tensor*> outputs;
  std::vector<SavedWeight> saved;
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto& [v, g, cache] = weights[i];
    Tape* const recording = Tape::recording({&v, &g});
    if (recording != nullptr && cache->w.tape_handle().tape != recording->id()) {
      tape = recording;
      inputs.insert(inputs.end(), {&v, &g});
      outputs.push_back(&cache->w);
      saved.push_back({Saved(rows[i]), Saved(g.tensor()), Saved(cache->inv_norm),
                       v.memory_format() == MemoryFormat::RowMajor});
    }
  }
  if (tape != nullptr) {
    tape->record("weight_norm", inputs, outputs,
                 [saved = std::move(saved)](Backward& context) { backward(context, saved); });
  }
}

std::shared_ptr<const void> mark_computed(Device device) {
  std::shared_ptr<const void> computed;
  on_device(
      "weight_norm", device, [] {}, [&] { computed = weight_norm_computed_cuda(); });
  return computed;
}

void wait_for(const WeightNormCache& cache) {
  on_device(
      "weight_norm", cache.w.device(), [] {},
      [&] { wait_for_weight_norm_cuda(cache.computed.get()); });
}

// The caches are locked.
void compute_and_record(std::span<const WeightNormUse> weights) {
  for (const WeightNormUse& use : weights) {
    check_arguments(use.v, use.g);
  }
  std::vector<Tensor> rows;
  std::vector<WeightNormRows> stale;
  std::vector<const WeightNormUse*> renewed;
  for (const WeightNormUse& use : weights) {
    rows.push_back(primitives::relayout(use.v.tensor(), MemoryFormat::RowMajor));
    if (!is_fresh(*use.cache, use.v.tensor(), use.g.tensor())) {
      stale.push_back(place_in(*use.cache, rows.back(), use.g.tensor()));
      renewed.push_back(&use);
    } else if (use.v.device() != cpu) {
      wait_for(*use.cache);
    }
  }
  if (!stale.empty()) {
    const profile::Range range("weight_norm");
    run<WeightNormRows>(
        stale, [](auto all) { weight_norm_forward_cpu(all); },
        [](auto all) { weight_norm_forward_cuda(all); });
  }
  std::shared_ptr<const void> computed;
  for (const WeightNormUse* use : renewed) {
    if (use->v.device() != cpu && !computed) {
      computed = mark_computed(use->v.device());
    }
    use->cache->computed = use->v.device() == cpu ? nullptr : computed;
    remember(*use->cache, use->v.tensor(), use->g.tensor());
    use->cache->w = use->cache->w.detach();  // on no tape yet
  }
  record(weights, rows);
}

}  // namespace

Tensor weight_norm(const Operand& v, const Operand& g) {
  WeightNormCache cache;
  return weight_norm(v, g, cache);
}

Tensor weight_norm(const Operand& v, const Operand& g, WeightNormCache& cache) {
  const std::lock_guard lock(cache.mutex);
  const WeightNormUse use{v, g, &cache};
  compute_and_record({&use, 1});
  return Tape::recording({&v, &g}) == nullptr ? cache.w.detach() : cache.w;
}

void weight_norm_together(std::span<const WeightNormUse> weights) {
  // Each cache once, as a module may be listed under two names; in the order of their addresses, so
  // that threads never wait for each other in a circle.
  std::map<WeightNormCache*, const WeightNormUse*, std::less<>> by_cache;
  for (const WeightNormUse& use : weights) {
    by_cache.emplace(use.cache, &use);
  }
  std::vector<std::unique_lock<std::mutex>> locks;
  for (const auto& [cache, use] : by_cache) {
    locks.emplace_back(cache->mutex);
  }
  std::vector<WeightNormUse> once;
  for (const WeightNormUse& use : weights) {
    if (by_cache.at(use.cache) == &use) {
      once.push_back(use);
    }
  }
  compute_and_record(once);
}

Tensor norm_per_channel(const Tensor& v) {
  const Operand operand(v);
  check_floating("norm_per_channel", operand);
  check<ShapeError>(v.rank() >= 1, "[norm_per_channel] v: got a scalar, wanted (O, ...)");
  const Tensor rows = primitives::relayout(v, MemoryFormat::RowMajor);
  Tensor norm = Tensor::empty(norm_shape(v.shape()), v.dtype(), v.device());
  on_device(
      "norm_per_channel", v.device(), [&] { norm_per_channel_cpu(rows, norm); },
      [&] { norm_per_channel_cuda(rows, norm); });
  norm.cut_from(v, "norm_per_channel");
  return norm;
}

}  // namespace warptape
