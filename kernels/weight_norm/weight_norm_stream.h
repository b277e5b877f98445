#pragma once
// How the CPU writes results that no cache would keep until they are read: past the caches, so that
// their lines are not read first.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace warptape::weight_norm_stream {

// What weights that are computed together read and write from here on leaves the caches anyway.
inline constexpr int64_t least_bytes = int64_t{32} << 20;
inline bool streams(int64_t bytes) {
  return bytes >= least_bytes;
}

// Whether elements of T can be written so.
template <class T>
inline constexpr bool can_stream =
#if defined(__SSE2__)
    std::is_same_v<T, float>;
#else
    false;
#endif

// Copies to `to` past the caches; others see it after end_writing().
template <class T>
void write_past_caches(const T* from, int64_t count, T* to) {
  int64_t i = 0;
#if defined(__SSE2__)
  constexpr int64_t of_vector = 4;
  const auto misaligned = static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) / sizeof(T) % 4);
  for (; i < count && misaligned != 0 && i < of_vector - misaligned; ++i) {
    to[i] = from[i];
  }
  for (; i + of_vector <= count; i += of_vector) {
    _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
  }
#endif
  for (; i < count; ++i) {
    to[i] = from[i];
  }
}

inline constexpr int64_t most_of_piece = 4096;

// Has make(begin, size, place) write the elements [begin, begin + size) of `to` into `place`: into
// `to` itself, or by pieces into a buffer, which goes past the caches.
template <class T, class Make>
void write_pieces(bool streams, int64_t count, T* to, const Make& make) {
  if constexpr (can_stream<T>) {
    if (streams) {
      alignas(64) T piece[most_of_piece];
      for (int64_t begin = 0; begin < count; begin += most_of_piece) {
        const int64_t size = std::min(most_of_piece, count - begin);
        make(begin, size, piece);
        write_past_caches(piece, size, to + begin);
      }
      return;
    }
  }
  make(int64_t{0}, count, to);
}

// Behind what one thread has written.
inline void end_writing([[maybe_unused]] bool streams) {
#if defined(__SSE2__)
  if (streams) {
    _mm_sfence();
  }
#endif
}

}  // namespace warptape::weight_norm_stream
