#pragma once
// The inner loops of stage_cpu.cpp, of which there is one set per level of instructions.

#include <cstdint>

namespace warptape::streaming {

// One convolution of the newest steps of a stream, for a block of output channels a:
//   out[i][a] = bias[a] + sum over k, c of weights[k][c][a] in[row(i, k)][c]
// for 0 <= i < steps, where row(i, k) is newest + i - (taps - 1 - k) * dilation, around the ring.
template <class T>
struct StepConvolution {
  const T* in;       // the ring, with its first rows once more behind the last
  int64_t rows;      // of the ring, without those; more than (taps - 1) * dilation + steps - 1
  int64_t stride;    // elements from a row to the next
  int64_t newest;    // the row that the last tap meets at the first step
  int64_t dilation;  // 0 where there is one tap
  int64_t taps;
  int64_t channels;
  const T* weights;  // packed: (taps, channels, vectors * lanes)
  const T* bias;     // vectors * lanes of them
  T* out;            // whole vectors are written
  int64_t out_stride;
  int64_t steps;
};

// The first rows that lie behind a ring's last once more: one less than steps are done at a time.
inline constexpr int64_t most_rows_at_once = 8;
inline constexpr int64_t ring_margin = most_rows_at_once - 1;

template <class T>
struct StepFunctions {
  int64_t lanes;
  void (*convolve[3])(const StepConvolution<T>&);  // by vectors in the block, 1 or 2
};

struct StepLevel {
  StepFunctions<float> of_float;
  StepFunctions<double> of_double;
};

namespace baseline {
extern const StepLevel level;
}
namespace avx2 {
extern const StepLevel level;
}
namespace avx512 {
extern const StepLevel level;
}

}  // namespace warptape::streaming
