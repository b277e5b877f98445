#pragma once
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"),
// indexed by logical element: element i of a draw is word i % 4 of the block with counter
// {i / 4, stream}, key = seed. So a draw is the same on every device, in every memory format, for
// any number of threads, and in float32 and float64 up to rounding.

#include <array>
#include <cstdint>

#include "core/tensor.h"

namespace warptape {

using PhiloxBlock = std::array<uint32_t, 4>;

PhiloxBlock philox(uint64_t counter_low, uint64_t counter_high, uint64_t key);

// One draw: names a stream of random words.
struct RandomStream {
  uint64_t seed = 0;
  uint64_t stream = 0;

  uint32_t word(uint64_t index) const { return philox(index / 4, stream, seed)[index % 4]; }
  // Uniform in [0, 1), 32 random bits.
  double uniform(uint64_t index) const { return word(index) * 0x1p-32; }
};

class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  void manual_seed(uint64_t seed) { *this = Generator(seed); }
  uint64_t seed() const { return seed_; }
  RandomStream next_stream() { return {seed_, stream_++}; }

 private:
  uint64_t seed_;
  uint64_t stream_ = 0;
};

// The generator that is used where none is given; one per thread of the program, seed 0 at start.
Generator& default_generator();
void manual_seed(uint64_t seed);

// Standard normal (Box-Muller), and uniform in [low, high).
Tensor randn(const Shape& shape, DType dtype = float32, Generator& generator = default_generator());
Tensor rand(const Shape& shape, DType dtype = float32, Generator& generator = default_generator());
void fill_normal(Tensor& tensor, double mean, double std,
                 Generator& generator = default_generator());
void fill_uniform(Tensor& tensor, double low, double high,
                  Generator& generator = default_generator());

}  // namespace warptape
