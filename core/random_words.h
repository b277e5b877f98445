#pragma once
#include <cstdint>

#include "core/philox.h"

namespace warptape {

// Words 4 first_block, ... of the stream, 4 for each of `blocks` blocks, on the CPU: by vectors of
// blocks where the processor has AVX2 or AVX-512F. Elements that are next to each other share a
// block, which philox.h makes anew for each of them.
void random_words(const RandomStream& stream, uint64_t first_block, int64_t blocks, uint32_t* to);

// Words begin, ..., begin + count - 1 of a stream, in a first-level cache.
class RandomWords {
 public:
  static constexpr int64_t most = 1024;  // words; groups of blocks that vectors make

  RandomWords(const RandomStream& stream, int64_t begin, int64_t count) : skipped_(begin % 4) {
    random_words(stream, static_cast<uint64_t>(begin / 4), (skipped_ + count + 3) / 4, words_);
  }
  const uint32_t* data() const { return words_ + skipped_; }

 private:
  int64_t skipped_;
  uint32_t words_[most + 4];
};

// The levels of instructions; the best that the processor has are used. For tests.
enum class RandomInstructions { Baseline, Avx2, Avx512 };
RandomInstructions best_random_instructions();
void random_words(RandomInstructions by, const RandomStream& stream, uint64_t first_block,
                  int64_t blocks, uint32_t* to);

}  // namespace warptape
