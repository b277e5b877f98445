#pragma once
// Reductions over any set of dimensions of tensors in any memory format: their loops, and how the
// CPU runs them (reduce.cuh: how CUDA does).

#include "core/parallel.h"
#include "core/strided.h"
#include "core/tensor.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape {

using DimMask = std::array<bool, Shape::max_rank>;

// The output's strides are given per dimension of `shape` like the inputs' (those of reduced
// dimensions are not used).
template <int Inputs>
ReduceLoops<Inputs> make_reduce_loops(const Shape& shape, MemoryFormat order,
                                      const DimMask& reduced, const Strides& output,
                                      const std::array<Strides, Inputs>& inputs) {
  Shape kept_shape = shape;
  Shape reduced_shape = shape;
  for (int d = 0; d < shape.rank(); ++d) {
    (reduced[static_cast<size_t>(d)] ? kept_shape : reduced_shape)[d] = 1;
  }
  std::array<Strides, Inputs + 1> kept_strides;
  std::copy(inputs.begin(), inputs.end(), kept_strides.begin());
  kept_strides[Inputs] = output;
  return {make_strided_loop<Inputs + 1>(kept_shape, order, kept_strides),
          make_strided_loop<Inputs>(reduced_shape, order, inputs)};
}

// The plan for CUDA; the inputs have one dtype.
template <int Inputs>
ReducePlan<Inputs> reduce_plan_of(const ReduceLoops<Inputs>& loops,
                                  const std::array<const Tensor*, Inputs>& inputs) {
  bool aligned[Inputs];
  for (size_t i = 0; i < Inputs; ++i) {
    aligned[i] = elementwise::misalignment(inputs[i]->raw_data()) == 0;
  }
  return reduce_plan(loops, static_cast<int>(16 / size_of(inputs[0]->dtype())), aligned);
}

// For every index of the dimensions that are not `reduced`:
//   store(offset in the output, combine over the reduced indices of load(offsets in the inputs))
// starting from `initial`, in an order that does not depend on the number of threads; strides as in
// make_reduce_loops.
template <int Inputs, class Accumulator, class Load, class Combine, class Store>
void strided_reduce(const Shape& shape, MemoryFormat order, const DimMask& reduced,
                    const Strides& output, const std::array<Strides, Inputs>& inputs,
                    Accumulator initial, const Load& load, const Combine& combine,
                    const Store& store) {
  const ReduceLoops<Inputs> loops =
      make_reduce_loops<Inputs>(shape, order, reduced, output, inputs);
  const auto& kept = loops.kept;
  const auto& inner = loops.reduced;
  const int64_t inner_count = inner.numel();

  // Neighbouring outputs are reduced together where the inputs are contiguous along them, so that
  // memory is read in order either way.
  constexpr int64_t tile = 64;
  const bool rows = inner.rank > 0 && inner.stride[0][static_cast<size_t>(inner.rank - 1)] == 1;
  const int64_t width = rows ? 1 : tile;

  const int64_t grain = std::max<int64_t>(1, default_grain / std::max<int64_t>(1, inner_count));
  parallel_for(kept.numel(), grain, [&](int64_t begin, int64_t end) {
    kept.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
      for (int64_t first = 0; first < n; first += width) {
        const int64_t count = std::min(width, n - first);
        std::array<Accumulator, tile> sums;
        std::fill_n(sums.begin(), count, initial);
        inner.for_each_run(0, inner_count, [&](const auto& from, int64_t m, const auto& stride) {
          for (int64_t r = 0; r < m; ++r) {
            for (int64_t j = 0; j < count; ++j) {
              std::array<int64_t, Inputs> offsets;
              for (size_t o = 0; o < Inputs; ++o) {
                offsets[o] = at[o] + (first + j) * step[o] + from[o] + r * stride[o];
              }
              auto& sum = sums[static_cast<size_t>(j)];
              sum = combine(sum, load(offsets));
            }
          }
        });
        for (int64_t j = 0; j < count; ++j) {
          store(at[Inputs] + (first + j) * step[Inputs], sums[static_cast<size_t>(j)]);
        }
      }
    });
  });
}

}  // namespace warptape
