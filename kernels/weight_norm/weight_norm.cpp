#include "kernels/weight_norm/weight_norm.h"

#include <array>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "kernels/max/max.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/sum/sum.h"
#include "kernels/weight_norm/weight_norm_kernels.h"
#include "kernels/where/where.h"

namespace warptape {
namespace {

DType dtype_of_w(const WeightNormUse& use) {
  return use.options.dtype.value_or(use.v.dtype());
}

void check_arguments(const WeightNormUse& use) {
  const auto& [v, g, cache, options] = use;
  check_floating("weight_norm", v);
  check_same_kind("weight_norm", v, g);
  check<ShapeError>(v.rank() >= 1, v.site(), "[weight_norm] v: got a scalar, wanted (O, ...)");
  const Shape norms = options.dim.norm_shape(v.shape(), "weight_norm", v.site());
  check<ShapeError>(g.shape() == norms, v.site(),
                    "[weight_norm] g: got shape {}, wanted {} for v of shape {}, dim {}", g.shape(),
                    norms, v.shape(), options.dim.to_string());
  const DType dtype = dtype_of_w(use);
  check<DTypeError>(dtype == v.dtype() || (dtype == bfloat16 && v.dtype() == float32), v.site(),
                    "[weight_norm] dtype: got {}, wanted {}{}, as v is {}", to_string(dtype),
                    to_string(v.dtype()), v.dtype() == float32 ? " or bfloat16" : "",
                    to_string(v.dtype()));
}

NormSlices slices_of(const Tensor& v, const NormDim& dim, const Site& site = {}) {
  return slices_of(v.shape(), v.memory_format(), dim, "weight_norm", site);
}

bool are_in_order(const Tensor& g, const Tensor& v) {
  return are_in_order(g.shape(), g.memory_format(), v.memory_format());
}

// g as the kernels read it: its elements in the order of v's slices.
Tensor in_order(const Tensor& g, const Tensor& v) {
  return are_in_order(g, v) ? g.detach() : primitives::relayout(g.detach(), v.memory_format());
}

bool is_fresh_of(const WeightNormCache& cache, const Tensor& v, const Tensor& g, DType dtype,
                 const NormDim& dim) {
  return cache.w.defined() && cache.w.dtype() == dtype && cache.dim == dim &&
         cache.v.shares_storage_with(v) && cache.g.shares_storage_with(g) &&
         cache.v_version == v.version() && cache.g_version == g.version();
}

bool fits(const WeightNormCache& cache, const Tensor& v, DType dtype) {
  return cache.w.defined() && cache.w.shape() == v.shape() && cache.w.dtype() == dtype &&
         cache.w.device() == v.device() && cache.w.memory_format() == v.memory_format();
}

// Where w and its norms are to be computed; the cache is not fresh until then.
WeightNormRows place_in(WeightNormCache& cache, const Tensor& v, const Tensor& g, DType dtype,
                        const NormDim& dim, const Site& site) {
  const NormSlices slices = slices_of(v, dim, site);
  if (!fits(cache, v, dtype)) {
    cache.w = Tensor::empty(v.shape(), dtype, v.device(), v.memory_format());
    cache.inv_norm = Tensor();
  }
  if (!cache.inv_norm.defined() || cache.inv_norm.numel() != slices.count()) {
    cache.inv_norm = Tensor::empty({slices.count()}, float64, v.device());
  }
  cache.dim = dim;
  cache.v = Tensor();
  return {v, in_order(g, v), cache.w, cache.inv_norm, slices};
}

void remember(WeightNormCache& cache, const Tensor& v, const Tensor& g) {
  cache.v = v.detach();
  cache.g = g.detach();
  cache.v_version = v.version();
  cache.g_version = g.version();
  cache.w = cache.w.detach();  // on no tape yet
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
  NormSlices slices;
  NormDim dim;
  DType dtype;  // of w
};

// w as ops that are recorded. It does not depend on the length of v: v is brought to a largest
// element of 1 first, so that no square is lost. A slice of zeros gives zeros.
Tensor composed(const Tensor& v, const Tensor& g, const SavedWeight& weight) {
  const Shape norms = weight.dim.norm_shape(v.shape(), "weight_norm", {});
  std::vector<int> summed;
  for (int d = 0; d < v.rank(); ++d) {
    if (norms.rank() == 0 || norms[d] != v.shape()[d]) {
      summed.push_back(d);
    }
  }
  const auto over_slices = [&](const Tensor& x, const auto& reduction) {
    return summed.empty() ? x : reduction(x, summed, true);
  };
  const Tensor largest = over_slices(abs(v.detach()), max);
  const Tensor is_zero = largest == 0;
  const Tensor scaled = v / where(is_zero, 1, largest);
  const Tensor squares = over_slices(scaled * scaled, sum);
  const Tensor inv_norm = where(is_zero, 0, rsqrt(where(is_zero, 1, squares)));
  std::vector<int64_t> beside(largest.shape().begin(), largest.shape().end());
  return (scaled * (reshape(g, beside) * inv_norm)).to(weight.dtype);
}

// Inputs v and g of one weight after the other, outputs their w.
void backward(Backward& context, const std::vector<SavedWeight>& saved) {
  std::vector<WeightNormGradient> gradients;
  gradients.reserve(saved.size());
  std::vector<std::pair<int, Tensor>> out_of_order;  // gradients of g in the order of slices
  for (size_t i = 0; i < saved.size(); ++i) {
    const int v = 2 * static_cast<int>(i);
    const int g = v + 1;
    if (!context.has_grad(static_cast<int>(i)) || (!context.needs(v) && !context.needs(g))) {
      continue;
    }
    const Tensor& value = saved[i].v.get();
    const Tensor gains = in_order(saved[i].g.get(), value);
    WeightNormGradient gradient{context.grad(static_cast<int>(i)),
                                value,
                                gains,
                                saved[i].inv_norm.get(),
                                {{}, WriteMode::Overwrite},
                                {{}, WriteMode::Overwrite},
                                saved[i].slices};
    if (context.needs(v)) {
      gradient.dv = context.into(v);
    }
    if (context.needs(g) && are_in_order(saved[i].g.get(), value)) {
      gradient.dg = context.into(g);
    } else if (context.needs(g)) {
      gradient.dg = {Tensor::empty_like(gains), WriteMode::Overwrite};
      out_of_order.emplace_back(g, gradient.dg.buffer);
    }
    gradients.push_back(gradient);
  }
  profile::note([&] {
    profile::Work work;
    for (const WeightNormGradient& each : gradients) {
      work.add(profile::moved({&each.dw, &each.v, &each.g, &each.inv_norm}, each.dv));
      work.add(profile::moved({}, each.dg));
    }
    return work;
  });
  run<WeightNormGradient>(
      gradients, [](auto all) { weight_norm_backward_cpu(all); },
      [](auto all) { weight_norm_backward_cuda(all); });
  for (const auto& [g, dg] : out_of_order) {
    const MemoryFormat other = dg.memory_format() == MemoryFormat::RowMajor
                                   ? MemoryFormat::ChannelsLast
                                   : MemoryFormat::RowMajor;
    context.give(g, primitives::relayout(dg, other));
  }
}

// The same as ops that are recorded: the gradient of g v / ||v||.
void backward_as_ops(Backward& context, const std::vector<SavedWeight>& saved) {
  for (size_t i = 0; i < saved.size(); ++i) {
    const int output = static_cast<int>(i);
    if (!context.has_grad(output)) {
      continue;
    }
    const Tensor& v = saved[i].v.get();
    const std::array inputs = {context.input(2 * output, v),
                               context.input(2 * output + 1, saved[i].g.get())};
    context.differentiate(
        inputs, [&](std::span<const Tensor> in) { return composed(in[0], in[1], saved[i]); },
        output, 2 * output);
  }
}

// As one op, those that are not on the innermost tape yet.
void record(std::span<const WeightNormUse> weights) {
  Tape* tape = nullptr;
  std::vector<const Operand*> inputs;
  std::vector<Tensor*> outputs;
  std::vector<SavedWeight> saved;
  for (const auto& [v, g, cache, options] : weights) {
    Tape* const recording = Tape::recording({&v, &g});
    if (recording != nullptr && cache->w.tape_handle().tape != recording->id()) {
      tape = recording;
      inputs.insert(inputs.end(), {&v, &g});
      outputs.push_back(&cache->w);
      saved.push_back({Saved(v.tensor()), Saved(g.tensor()), Saved(cache->inv_norm),
                       slices_of(v.tensor(), options.dim), options.dim, cache->w.dtype()});
    }
  }
  if (tape != nullptr) {
    tape->record(
        "weight_norm", inputs, outputs,
        [saved = std::move(saved)](Backward& context) {
          context.creates_graph() ? backward_as_ops(context, saved) : backward(context, saved);
        },
        Differentiable::Twice);
    for (size_t i = 0; i < outputs.size(); ++i) {
      const DType dtype = inputs[2 * i]->dtype();
      if (outputs[i]->dtype() != dtype) {
        tape->take_gradient_in(*outputs[i], dtype);
      }
    }
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

// Who writes v may write w, too.
void note_parameters(const WeightNormUse& use) {
  if (use.v.parameter() != nullptr && use.g.parameter() != nullptr) {
    use.cache->v_of = use.v.parameter();
    use.cache->g_of = use.g.parameter();
    use.cache->keep_for(*use.v.parameter());
  }
}

// The caches are locked.
void compute_and_record(std::span<const WeightNormUse> weights) {
  for (const WeightNormUse& use : weights) {
    check_arguments(use);
  }
  std::vector<WeightNormRows> stale;
  std::vector<const WeightNormUse*> renewed;
  for (const WeightNormUse& use : weights) {
    const DType dtype = dtype_of_w(use);
    const NormDim& dim = use.options.dim;
    if (!is_fresh_of(*use.cache, use.v.tensor(), use.g.tensor(), dtype, dim)) {
      stale.push_back(
          place_in(*use.cache, use.v.tensor(), use.g.tensor(), dtype, dim, use.v.site()));
      renewed.push_back(&use);
    } else if (use.v.device() != cpu) {
      wait_for(*use.cache);
    }
  }
  if (!stale.empty()) {
    const profile::Range range("weight_norm");
    profile::note([&] {
      profile::Work work;
      for (const WeightNormRows& rows : stale) {
        work.add(profile::moved({&rows.v, &rows.g}, {&rows.w, &rows.inv_norm}));
      }
      return work;
    });
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
    note_parameters(*use);
  }
  record(weights);
}

// The states of v and g, where both exist and there is a w of them.
template <class Work>
void with_parameters(const WeightNormCache& cache, const Work& work) {
  const auto v = cache.v_of.lock();
  const auto g = cache.g_of.lock();
  if (v != nullptr && g != nullptr && cache.w.defined()) {
    work(v->value, g->value);
  }
}

}  // namespace

Tensor WeightNormCache::tensor() {
  const std::lock_guard lock(mutex);
  return w.detach();
}

bool WeightNormCache::is_fresh() {
  const std::lock_guard lock(mutex);
  bool fresh = false;
  with_parameters(*this, [&](const Tensor& v_now, const Tensor& g_now) {
    fresh = is_fresh_of(*this, v_now, g_now, w.dtype(), dim);
  });
  return fresh;
}

void WeightNormCache::refresh() {
  const std::lock_guard lock(mutex);
  with_parameters(*this, [&](const Tensor& v_now, const Tensor& g_now) {
    const WeightNormUse use{v_now.detach(), g_now.detach(), this, {.dim = dim, .dtype = w.dtype()}};
    compute_and_record({&use, 1});
  });
}

void WeightNormCache::mark_fresh() {
  const std::lock_guard lock(mutex);
  with_parameters(*this, [&](const Tensor& v_now, const Tensor& g_now) {
    remember(*this, v_now, g_now);
    computed = nullptr;  // it is where they are
  });
}

std::optional<WeightNormPlace> WeightNormCache::place() {
  const std::lock_guard lock(mutex);
  std::optional<WeightNormPlace> result;
  with_parameters(*this, [&](const Tensor& v_now, const Tensor& g_now) {
    if (fits(*this, v_now, w.dtype()) && g_now.device() == v_now.device() &&
        g_now.dtype() == v_now.dtype() && g_now.numel() == v_now.size(0) &&
        are_in_order(g_now, v_now) && slices_of(v_now, dim).are_rows()) {
      result = WeightNormPlace{v_now, g_now, w.detach(), inv_norm};
    }
  });
  return result;
}

void WeightNormCache::forget() {
  const std::lock_guard lock(mutex);
  v = Tensor();
}

Tensor weight_norm(const Operand& v, const Operand& g, WeightNormOptions options) {
  WeightNormCache cache;
  return weight_norm(v, g, cache, options);
}

Tensor weight_norm(const Operand& v, const Operand& g, WeightNormCache& cache,
                   WeightNormOptions options) {
  const std::lock_guard lock(cache.mutex);
  const WeightNormUse use{v, g, &cache, options};
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

Tensor norm_except_dim(const Tensor& v, const NormDim& dim, const Site& site) {
  const Operand operand(v, site.file, site.line);
  check_floating("norm_except_dim", operand);
  check<ShapeError>(v.rank() >= 1, site, "[norm_except_dim] v: got a scalar, wanted (O, ...)");
  const Shape shape = dim.norm_shape(v.shape(), "norm_except_dim", site);
  const NormSlices slices = slices_of(v.shape(), v.memory_format(), dim, "norm_except_dim", site);
  Tensor norm =
      Tensor::empty(shape, v.dtype(), v.device(), normalized(v.memory_format(), shape.rank()));
  on_device(
      "norm_except_dim", v.device(), [&] { norms_of_slices_cpu(v, slices, norm); },
      [&] { norms_of_slices_cuda(v, slices, norm); });
  norm.cut_from(v, "norm_except_dim");
  return norm;
}

}  // namespace warptape
