#include "core/random_words.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
// What an intrinsic leaves undefined on purpose; g++ 12 warns of it, seen in its own header.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace warptape {
namespace {

void one_by_one(const RandomStream& stream, uint64_t first_block, int64_t blocks, uint32_t* to) {
  for (int64_t i = 0; i < blocks; ++i) {
    for (uint32_t word : stream.block(first_block + static_cast<uint64_t>(i))) {
      *to++ = word;
    }
  }
}

#if defined(__x86_64__)

// The rounds of philox.h for one block in each lane of 64 bits. Only the lower half of a lane
// counts: products read no more, and what they leave in the upper halves goes nowhere.
constexpr int64_t factor0 = 0xD2511F53;
constexpr int64_t factor1 = 0xCD9E8D57;
constexpr uint32_t weyl0 = 0x9E3779B9;
constexpr uint32_t weyl1 = 0xBB67AE85;
constexpr uint64_t low_half = 0xFFFFFFFF;
using Lanes4 = uint64_t __attribute__((vector_size(32)));
// So that a product need not wait for the one before.
constexpr int vectors_of_avx2 = 2;
constexpr int vectors_of_avx512 = 4;

// Shifts by half a lane and products are for the same port of a processor: one of a round's two is
// a permutation instead, which another does.
__attribute__((target("avx512f"))) void by_avx512(const RandomStream& stream, uint64_t first_block,
                                                  int64_t groups, uint32_t* to) {
  constexpr int vectors = vectors_of_avx512;
  constexpr __mmask16 upper_halves = 0xAAAA;
  const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  const __m512i first_pairs = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i last_pairs = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (int64_t group = 0; group < groups; ++group) {
    __m512i c0[vectors];
    __m512i c1[vectors];
    __m512i c2[vectors];
    __m512i c3[vectors];
    for (int i = 0; i < vectors; ++i) {
      const uint64_t first = first_block + static_cast<uint64_t>(group * vectors + i) * 8;
      c0[i] = _mm512_add_epi64(_mm512_set1_epi64(static_cast<int64_t>(first)), lanes);
      c1[i] = _mm512_srli_epi64(c0[i], 32);
      c2[i] = _mm512_set1_epi64(static_cast<int64_t>(stream.stream));
      c3[i] = _mm512_srli_epi64(c2[i], 32);
    }
    uint32_t key0 = static_cast<uint32_t>(stream.seed);
    auto key1 = static_cast<uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const __m512i keys0 = _mm512_set1_epi64(key0);
      const __m512i keys1 = _mm512_set1_epi64(key1);
      for (int i = 0; i < vectors; ++i) {
        const __m512i product0 = _mm512_mul_epu32(_mm512_set1_epi64(factor0), c0[i]);
        const __m512i product1 = _mm512_mul_epu32(_mm512_set1_epi64(factor1), c2[i]);
        const __m512i high0 =
            _mm512_castps_si512(_mm512_movehdup_ps(_mm512_castsi512_ps(product0)));
        const __m512i high1 = _mm512_srli_epi64(product1, 32);
        c0[i] = high1 ^ c1[i] ^ keys0;
        c2[i] = high0 ^ c3[i] ^ keys1;
        c1[i] = product1;
        c3[i] = product0;
      }
      key0 += weyl0;
      key1 += weyl1;
    }
    for (int i = 0; i < vectors; ++i, to += 32) {
      const __m512i words01 =
          _mm512_mask_blend_epi32(upper_halves, c0[i], _mm512_slli_epi64(c1[i], 32));
      const __m512i words23 =
          _mm512_mask_blend_epi32(upper_halves, c2[i], _mm512_slli_epi64(c3[i], 32));
      _mm512_storeu_si512(to, _mm512_permutex2var_epi64(words01, first_pairs, words23));
      _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi64(words01, last_pairs, words23));
    }
  }
}

__attribute__((target("avx2"))) void by_avx2(const RandomStream& stream, uint64_t first_block,
                                             int64_t groups, uint32_t* to) {
  constexpr int vectors = vectors_of_avx2;
  const Lanes4 lanes = {0, 1, 2, 3};
  for (int64_t group = 0; group < groups; ++group) {
    Lanes4 c0[vectors];
    Lanes4 c1[vectors];
    Lanes4 c2[vectors];
    Lanes4 c3[vectors];
    for (int i = 0; i < vectors; ++i) {
      c0[i] = first_block + static_cast<uint64_t>(group * vectors + i) * 4 + lanes;
      c1[i] = c0[i] >> 32;
      c2[i] = stream.stream + Lanes4{};
      c3[i] = c2[i] >> 32;
    }
    auto key0 = static_cast<uint32_t>(stream.seed);
    auto key1 = static_cast<uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < vectors; ++i) {
        const auto product0 =
            Lanes4(_mm256_mul_epu32(_mm256_set1_epi64x(factor0), reinterpret_cast<__m256i>(c0[i])));
        const auto product1 =
            Lanes4(_mm256_mul_epu32(_mm256_set1_epi64x(factor1), reinterpret_cast<__m256i>(c2[i])));
        c0[i] = (product1 >> 32) ^ c1[i] ^ key0;
        c2[i] = (product0 >> 32) ^ c3[i] ^ key1;
        c1[i] = product1;
        c3[i] = product0;
      }
      key0 += weyl0;
      key1 += weyl1;
    }
    for (int i = 0; i < vectors; ++i, to += 16) {
      const auto words01 = reinterpret_cast<__m256i>((c0[i] & low_half) | (c1[i] << 32));
      const auto words23 = reinterpret_cast<__m256i>((c2[i] & low_half) | (c3[i] << 32));
      const __m256i even = _mm256_unpacklo_epi64(words01, words23);  // blocks 0 and 2
      const __m256i odd = _mm256_unpackhi_epi64(words01, words23);   // blocks 1 and 3
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                          _mm256_permute2x128_si256(even, odd, 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8),
                          _mm256_permute2x128_si256(even, odd, 0x31));
    }
  }
}

// Blocks in groups of Size. What is left is the beginning of one more, unless it is quicker one by
// one.
template <int Size, class Groups>
void in_groups(const Groups& groups, const RandomStream& stream, uint64_t first_block,
               int64_t blocks, uint32_t* to) {
  groups(stream, first_block, blocks / Size, to);
  const int64_t rest = blocks % Size;
  first_block += static_cast<uint64_t>(blocks - rest);
  to += 4 * (blocks - rest);
  if (rest <= Size / 8) {
    one_by_one(stream, first_block, rest, to);
    return;
  }
  uint32_t words[4 * Size];
  groups(stream, first_block, 1, words);
  std::copy_n(words, 4 * rest, to);
}

#endif

}  // namespace

RandomInstructions best_random_instructions() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    return RandomInstructions::Avx512;
  }
  if (__builtin_cpu_supports("avx2")) {
    return RandomInstructions::Avx2;
  }
#endif
  return RandomInstructions::Baseline;
}

void random_words(RandomInstructions by, const RandomStream& stream, uint64_t first_block,
                  int64_t blocks, uint32_t* to) {
#if defined(__x86_64__)
  if (by == RandomInstructions::Avx512) {
    in_groups<8 * vectors_of_avx512>(by_avx512, stream, first_block, blocks, to);
    return;
  }
  if (by == RandomInstructions::Avx2) {
    in_groups<4 * vectors_of_avx2>(by_avx2, stream, first_block, blocks, to);
    return;
  }
#endif
  one_by_one(stream, first_block, blocks, to);
}

void random_words(const RandomStream& stream, uint64_t first_block, int64_t blocks, uint32_t* to) {
  static const RandomInstructions best = best_random_instructions();
  random_words(best, stream, first_block, blocks, to);
}

}  // namespace warptape
