#pragma once
// Walking over several dense tensors at once, in the memory order of the first, whatever the
// formats and broadcasts of the others (a broadcast dimension has stride 0).

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "core/shape.h"

namespace warptape {

// Dimensions ordered outermost first; operand o advances by stride[o][d] elements in dimension d.
template <int Operands>
struct StridedLoop {
  int rank = 0;
  std::array<int64_t, Shape::max_rank> extent{};
  std::array<Strides, Operands> stride{};

  int64_t numel() const {
    int64_t count = 1;
    for (int d = 0; d < rank; ++d) {
      count *= extent[static_cast<size_t>(d)];
    }
    return count;
  }

  // Calls body(offsets, n, steps) for runs of the innermost dimension that cover [begin, end) of
  // the flattened index range: n elements, operand o starting at offsets[o] with step steps[o].
  template <class Body>
  void for_each_run(int64_t begin, int64_t end, const Body& body) const {
    std::array<int64_t, Operands> offsets{};
    std::array<int64_t, Operands> steps{};
    const int inner = rank - 1;
    const auto last = static_cast<size_t>(std::max(inner, 0));
    const int64_t run = rank == 0 ? 1 : extent[last];
    for (int o = 0; o < Operands; ++o) {
      steps[static_cast<size_t>(o)] = rank == 0 ? 0 : stride[static_cast<size_t>(o)][last];
    }
    while (begin < end) {
      int64_t rest = begin / run;
      const int64_t start = begin % run;
      const int64_t count = std::min(run - start, end - begin);
      for (size_t o = 0; o < Operands; ++o) {
        offsets[o] = start * steps[o];
      }
      for (int d = inner - 1; d >= 0; --d) {
        const auto at = static_cast<size_t>(d);
        const int64_t index = rest % extent[at];
        rest /= extent[at];
        for (size_t o = 0; o < Operands; ++o) {
          offsets[o] += index * stride[o][at];
        }
      }
      body(offsets, count, steps);
      begin += count;
    }
  }
};

// The loop over the elements of `shape` in the memory order of `order`, for operands given by their
// strides per logical dimension. Neighbouring dimensions that all operands cross evenly are merged.
template <int Operands>
StridedLoop<Operands> make_strided_loop(const Shape& shape, MemoryFormat order,
                                        const std::array<Strides, Operands>& strides) {
  StridedLoop<Operands> loop;
  std::array<int, Shape::max_rank> dims{};
  int count = 0;
  const bool channels_last = normalized(order, shape.rank()) == MemoryFormat::ChannelsLast;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!(channels_last && d == 1)) {
      dims[static_cast<size_t>(count++)] = d;
    }
  }
  if (channels_last) {
    dims[static_cast<size_t>(count++)] = 1;
  }
  for (int i = 0; i < count; ++i) {
    const auto d = static_cast<size_t>(dims[static_cast<size_t>(i)]);
    const int64_t size = shape[static_cast<int>(d)];
    if (size == 1) {
      continue;
    }
    bool merge = loop.rank > 0;
    const auto previous = static_cast<size_t>(loop.rank - 1);
    for (size_t o = 0; merge && o < Operands; ++o) {
      merge = loop.stride[o][previous] == strides[o][d] * size;
    }
    const size_t target = merge ? previous : static_cast<size_t>(loop.rank++);
    loop.extent[target] = merge ? loop.extent[target] * size : size;
    for (size_t o = 0; o < Operands; ++o) {
      loop.stride[o][target] = strides[o][d];
    }
  }
  return loop;
}

// Strides of a tensor of `shape` and `format` seen as if broadcast to `target`: aligned at the last
// dimension, 0 where a dimension is repeated.
inline Strides broadcast_strides(const Shape& shape, MemoryFormat format, const Shape& target) {
  const Strides own = strides_of(shape, format);
  Strides result{};
  for (int d = 0; d < shape.rank(); ++d) {
    const int in_target = d + target.rank() - shape.rank();
    result[static_cast<size_t>(in_target)] = shape[d] == 1 ? 0 : own[static_cast<size_t>(d)];
  }
  return result;
}

}  // namespace warptape
