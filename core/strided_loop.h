#pragma once
// What of a walk over several tensors is plain numbers: strided.h makes it, the CPU's loops and the
// CUDA kernels follow it.

#include <array>
#include <cstddef>
#include <cstdint>

namespace warptape {

inline constexpr int max_rank = 8;
using Strides = std::array<int64_t, max_rank>;  // in elements, one per logical dimension

// Dimensions ordered outermost first; operand o advances by stride[o][d] elements in dimension d.
template <int Operands>
struct StridedLoop {
  int rank = 0;
  std::array<int64_t, max_rank> extent{};
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
  void for_each_run(int64_t begin, int64_t end, const Body& body) const;
};

template <int Operands>
template <class Body>
void StridedLoop<Operands>::for_each_run(int64_t begin, int64_t end, const Body& body) const {
  std::array<int64_t, Operands> offsets{};
  std::array<int64_t, Operands> steps{};
  const int inner = rank - 1;
  const size_t last = rank == 0 ? 0 : static_cast<size_t>(inner);
  const int64_t run = rank == 0 ? 1 : extent[last];
  for (size_t o = 0; o < Operands; ++o) {
    steps[o] = rank == 0 ? 0 : stride[o][last];
  }
  while (begin < end) {
    int64_t rest = begin / run;
    const int64_t start = begin % run;
    const int64_t count = run - start < end - begin ? run - start : end - begin;
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

}  // namespace warptape
