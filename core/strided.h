#pragma once
// Walking over several dense tensors at once, in the memory order of the first, whatever the
// formats and broadcasts of the others (a broadcast dimension has stride 0).

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/shape.h"
#include "core/strided_loop.h"

namespace warptape {

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
