#include "kernels/gather/gather_kernels.h"

#include <algorithm>

#include "core/strided.h"

namespace warptape {
namespace {

// Dimensions from the outside in, in the order of memory.
std::vector<int> dims_in_memory(const Tensor& x) {
  std::vector<int> dims;
  const bool channels_last = x.memory_format() == MemoryFormat::ChannelsLast;
  for (int d = 0; d < x.rank(); ++d) {
    if (!(channels_last && d == 1)) {
      dims.push_back(d);
    }
  }
  if (channels_last) {
    dims.push_back(1);
  }
  return dims;
}

}  // namespace

GatherLoop gather_loop(const Tensor& x, int dim, const Tensor& index, const Tensor& y) {
  GatherLoop result;
  Strides base = x.strides();
  result.stride = base[static_cast<size_t>(dim)];
  result.line = x.shape()[dim];
  base[static_cast<size_t>(dim)] = 0;
  result.loop = make_strided_loop<4>(
      y.shape(), y.memory_format(),
      {y.strides(), index.strides(), base, strides_of(y.shape(), MemoryFormat::RowMajor)});
  return result;
}

GatherLines gather_lines(const Tensor& dx, int dim, const Tensor& index, const Tensor& dy) {
  GatherLines lines;
  const Strides strides[] = {dx.strides(), index.strides(), dy.strides()};
  for (const int d : dims_in_memory(dx)) {
    for (int o = 0; o < 3; ++o) {
      const int64_t stride = strides[o][static_cast<size_t>(d)];
      (d == dim ? lines.along[o] : lines.stride[o][lines.rank]) = stride;
    }
    if (d != dim) {
      lines.extent[lines.rank] = dx.shape()[d];
      lines.covered[lines.rank] = index.shape()[d];
      lines.lines *= dx.shape()[d];
      ++lines.rank;
    }
  }
  lines.line = dx.shape()[dim];
  lines.indices = index.shape()[dim];
  lines.lanes_along_dim = lines.along[0] == 1;
  // As many threads as keep a large GPU busy; beyond that, the more a thread owns the less often
  // the index is read.
  constexpr int64_t enough_threads = 1 << 17;
  lines.per_thread = std::clamp<int64_t>(lines.lines * lines.line / enough_threads, 1,
                                         GatherLines::most_per_thread);
  lines.tiles = (lines.line + lines.per_thread - 1) / lines.per_thread;
  constexpr int64_t enough_with_chunks = 1 << 15;
  constexpr int64_t least_chunk = 256;
  const int64_t wanted = enough_with_chunks / std::max<int64_t>(lines.threads(), 1);
  lines.chunks = std::clamp<int64_t>(lines.indices / least_chunk, 1, std::max<int64_t>(wanted, 1));
  lines.chunk_length = (lines.indices + lines.chunks - 1) / lines.chunks;
  lines.chunks =
      lines.indices == 0 ? 1 : (lines.indices + lines.chunk_length - 1) / lines.chunk_length;
  return lines;
}

}  // namespace warptape
