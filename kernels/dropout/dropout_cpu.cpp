#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "core/primitives.h"
#include "core/random_words.h"
#include "kernels/dropout/dropout_kernels.h"

namespace warptape {
namespace {

template <class T>
struct Dropped {
  const T* from;
  T* to;
  Compute<T> scale;
  uint32_t least;  // the least word of an element that is kept
  bool accumulate;

  // Elements at, at + step, ...
  void operator()(int64_t at, int64_t step, const uint32_t* words, int64_t count) const {
    if (accumulate) {
      apply<true>(at, step, words, count);
    } else {
      apply<false>(at, step, words, count);
    }
  }

 private:
  template <bool Accumulate>
  void apply(int64_t at, int64_t step, const uint32_t* words, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t j = at + i * step;
      // A product with a mask of 0 would make NaN of what is not finite; one under a condition is
      // not done by vectors.
      const Compute<T> scaled = from[j] * scale;
      to[j] = written(Accumulate, to[j], words[i] >= least ? scaled : Compute<T>(0));
    }
  }
};

// Logical elements [begin, end) of a row-major tensor.
template <class T>
void drop_row(const Dropped<T>& drop, const RandomStream& stream, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += RandomWords::most) {
    const int64_t count = std::min(RandomWords::most, end - i);
    const RandomWords words(stream, i, count);
    drop(i, 1, words.data(), count);
  }
}

}  // namespace

void dropout_cpu(const Tensor& x, double p, const RandomStream& stream, GradientTarget to) {
  check_known_on_host(stream);
  if (x.numel() == 0) {
    return;
  }
  const double least = std::ceil(p * 0x1p32);  // of the words with word / 2^32 >= p
  if (least > std::numeric_limits<uint32_t>::max()) {
    if (to.mode == WriteMode::Overwrite) {
      primitives::fill(to.buffer, 0);
    }
    return;
  }
  dispatch_floating(x.dtype(), [&]<class T>() {
    const Dropped<T> drop{.from = x.data<T>(),
                          .to = to.buffer.mutable_data<T>(),
                          .scale = static_cast<Compute<T>>(1 / (1 - p)),
                          .least = static_cast<uint32_t>(least),
                          .accumulate = to.mode == WriteMode::Accumulate};
    if (x.memory_format() == MemoryFormat::RowMajor) {
      parallel_for(x.numel(), 4096,
                   [&](int64_t begin, int64_t end) { drop_row(drop, stream, begin, end); });
      return;
    }
    // Words follow the logical order: those of some pixels of one channel after the other, so that
    // the pixels stay in a cache until they have all of their channels.
    constexpr int64_t most_pixels = 64;
    const int64_t channels = x.size(1);
    const int64_t pixels = x.numel() / (x.size(0) * channels);
    const int64_t parts = (pixels + most_pixels - 1) / most_pixels;
    parallel_for(
        x.size(0) * parts, 4096 / (most_pixels * channels) + 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t image = i / parts;
            const int64_t first = i % parts * most_pixels;
            const int64_t count = std::min(most_pixels, pixels - first);
            for (int64_t c = 0; c < channels; ++c) {
              const RandomWords words(stream, (image * channels + c) * pixels + first, count);
              drop((image * pixels + first) * channels + c, channels, words.data(), count);
            }
          }
        });
  });
}

}  // namespace warptape
