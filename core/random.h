#pragma once
// Random tensors, and the generator that names their draws (philox.h).

#include <cstdint>

#include "core/philox.h"
#include "core/tensor.h"

namespace warptape {

class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  void manual_seed(uint64_t seed) { *this = Generator(seed); }
  uint64_t seed() const { return seed_; }
  RandomStream next_stream();

  // With the seed, all of its state: how many streams it has given.
  uint64_t streams() const { return stream_; }
  void restore(uint64_t seed, uint64_t streams) {
    seed_ = seed;
    stream_ = streams;
  }

 private:
  uint64_t seed_;
  uint64_t stream_ = 0;
};

// While one lives, draws of this thread are recorded for a graph on a device: they count from what
// `state` there holds when it is replayed, {seed, streams}, and the generator itself gives nothing
// away. Only `generator` may be drawn from: DeviceError for another one. On the host their numbers
// cannot be had: DeviceError, too.
class RecordedDraws {
 public:
  RecordedDraws(Generator& generator, const uint64_t* state);
  ~RecordedDraws();
  RecordedDraws(const RecordedDraws&) = delete;
  RecordedDraws& operator=(const RecordedDraws&) = delete;
  uint64_t count() const { return count_; }  // so far

 private:
  friend class Generator;
  RandomStream next(const Generator& generator);

  Generator& generator_;
  const uint64_t* state_;
  uint64_t count_ = 0;
};

// DeviceError where it is one of those.
void check_known_on_host(const RandomStream& stream);

// The generator that is used where none is given; one per thread of the program, seed 0 at start.
Generator& default_generator();
void manual_seed(uint64_t seed);

// Standard normal (Box-Muller), and uniform in [low, high). The numbers are a function of generator
// and shape: the same bits on every device, up to rounding the same in every dtype.
Tensor randn(const Shape& shape, DType dtype = float32, Generator& generator = default_generator());
Tensor rand(const Shape& shape, DType dtype = float32, Generator& generator = default_generator());
Tensor randn(const Shape& shape, DType dtype, Device device,
             Generator& generator = default_generator());
Tensor rand(const Shape& shape, DType dtype, Device device,
            Generator& generator = default_generator());
void fill_normal(Tensor& tensor, double mean, double std,
                 Generator& generator = default_generator());
void fill_uniform(Tensor& tensor, double low, double high,
                  Generator& generator = default_generator());

}  // namespace warptape
