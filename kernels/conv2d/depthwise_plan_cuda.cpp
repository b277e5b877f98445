#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "kernels/conv2d/depthwise.h"

namespace warptape::on_cuda {
namespace {

constexpr int most_lanes = 32;

int64_t parts(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

// As many sharers as fill the chip, an H100 or H200.
Finish plan_finish(int64_t results, int64_t chunks) {
  constexpr int64_t resident_threads = int64_t{2} * 132 * matrix::block_threads;
  constexpr int most_sharers = 32;  // 8 neighbouring floats make a sector of memory
  Finish finish;
  while (finish.sharers < most_sharers && 2 * finish.sharers <= chunks &&
         results * finish.sharers < resident_threads) {
    finish.sharers *= 2;
  }
  finish.blocks = parts(results, matrix::block_threads / finish.sharers);
  return finish;
}

// Packs where an output has its input channel to itself and all rows begin at 16 bytes.
template <class T, class... Pointers>
int pack_for(const DepthwiseGeometry& g, Pointers... pointers) {
  constexpr int pack = matrix::pack_of<T>;
  return g.multiplier == 1 && g.channels % pack == 0 && (matrix::is_aligned_pack(pointers) && ...)
             ? pack
             : 1;
}

}  // namespace

template <class T>
DepthwisePlan plan_depthwise_forward(const DepthwiseGeometry& g, const T* x, const T* filters,
                                     const Compute<T>* bias, const T* y) {
  DepthwisePlan plan;
  plan.pack = pack_for<T>(g, x, filters, bias, y);
  plan.blocks = parts(g.pixels_of_y() * g.out_channels() / plan.pack, matrix::block_threads);
  return plan;
}

template <class T>
DepthwisePlan plan_depthwise_data_grad(const DepthwiseGeometry& g, const T* dy, const T* filters,
                                       const Compute<T>* bias, const T* dx) {
  DepthwisePlan plan;
  plan.pack = pack_for<T>(g, dy, filters, bias, dx);
  plan.blocks = parts(g.pixels_of_x() * g.channels / plan.pack, matrix::block_threads);
  return plan;
}

template <class T>
DepthwisePlan plan_depthwise_weight_grad(const DepthwiseGeometry& g, const T* dy, const T* x) {
  DepthwisePlan plan;
  plan.pack = pack_for<T>(g, dy, x);
  const int packs = g.out_channels() / plan.pack;
  plan.lanes = std::min(packs, most_lanes);
  plan.chunks = static_cast<int>(parts(g.pixels_of_y(), DepthwisePlan::chunk_pixels));
  plan.blocks = parts(packs, plan.lanes) * g.taps() * plan.chunks;
  plan.finish = plan_finish(int64_t{g.out_channels()} * g.taps(), plan.chunks);
  return plan;
}

std::string to_string(const DepthwisePlan& plan) {
  const auto counted = [](int64_t n, const char* what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  std::string text = plan.pack == 1 ? "single elements" : fmt::format("packs of {}", plan.pack);
  text += ", depthwise, " + counted(plan.blocks, "block");
  if (plan.chunks > 0) {
    text += ", " + counted(plan.chunks, "chunk") + " of pixels";
  }
  if (plan.finish.blocks > 0) {
    text += " added up by " + counted(plan.finish.blocks, "block");
  }
  return text;
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                    \
  template DepthwisePlan plan_depthwise_forward(const DepthwiseGeometry&, const T*, const T*,   \
                                                const Compute<T>*, const T*);                   \
  template DepthwisePlan plan_depthwise_data_grad(const DepthwiseGeometry&, const T*, const T*, \
                                                  const Compute<T>*, const T*);                 \
  template DepthwisePlan plan_depthwise_weight_grad(const DepthwiseGeometry&, const T*, const T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
