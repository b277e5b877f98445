#pragma once
// CUDA's words under a host compiler, on the engine. Same names, same meaning; what CUDA leaves
// undefined is an error here.

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/engine/host_types.h"

// CUDA's names, which are reserved for it.
// NOLINTBEGIN(bugprone-reserved-identifier,bugprone-macro-parentheses)

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// A reference: a table of many kilobytes is not copied for each thread. Written behind the type
// (`const Table __grid_constant__ table`).
#define __grid_constant__ &
#define __align__(n) alignas(n)

extern constinit thread_local uint3 threadIdx;
extern constinit thread_local uint3 blockIdx;
extern constinit thread_local dim3 blockDim;
extern constinit thread_local dim3 gridDim;
inline constexpr int warpSize = 32;

// Code that the engine runs on behalf of several lanes must not look like one lane's accesses.
#define WARPTAPE_SIMT_UNSEEN __attribute__((noinline, no_sanitize("thread")))

namespace warptape::simt::engine {

// Entry points into the engine; file and line are the kernel's.
int block_barrier(const char* what, int predicate, int (*combine)(int, int), const char* file,
                  int line);
void warp_collective(const char* what, unsigned mask, void* slot,
                     void (*combine)(void* const* slots, unsigned mask), bool orders_memory,
                     const char* file, int line);
void* shared_variable(const void* key, size_t bytes);
void* dynamic_shared_memory();
[[noreturn]] void misaligned(const void* pointer, const char* what, int bytes);
[[noreturn]] void bad_width(const char* what, int width);

inline int ignore_predicate(int, int) {
  return 0;
}
inline int add_predicate(int total, int predicate) {
  return total + (predicate != 0);
}
// Both start from 0: "and" counts the ones that are false.
inline int count_false(int total, int predicate) {
  return total + (predicate == 0);
}

// What a lane brings to a shuffle and takes from it.
template <class T>
struct ShuffleSlot {
  T value;
  unsigned source;  // lane, already within the mask's segment
  T result;
};
template <class T>
WARPTAPE_SIMT_UNSEEN void shuffle(void* const* slots, unsigned mask) {
  for (unsigned lanes = mask; lanes != 0; lanes &= lanes - 1) {
    auto& own = *static_cast<ShuffleSlot<T>*>(slots[std::countr_zero(lanes)]);
    // A source outside of the mask gives a value that CUDA leaves undefined: all bits set.
    if ((mask >> own.source & 1u) != 0) {
      own.result = static_cast<ShuffleSlot<T>*>(slots[own.source])->value;
    } else {
      auto* bytes = reinterpret_cast<volatile unsigned char*>(&own.result);
      for (size_t i = 0; i < sizeof(T); ++i) {
        bytes[i] = 0xFF;
      }
    }
  }
}

struct VoteSlot {
  unsigned long long value;
  unsigned long long result;
};
template <class Function>
WARPTAPE_SIMT_UNSEEN void vote(void* const* slots, unsigned mask) {
  for (unsigned lanes = mask; lanes != 0; lanes &= lanes - 1) {
    auto& own = *static_cast<VoteSlot*>(slots[std::countr_zero(lanes)]);
    unsigned long long total = Function::start;
    for (unsigned others = mask; others != 0; others &= others - 1) {
      const int lane = std::countr_zero(others);
      total = Function::apply(total, lane, own.value, static_cast<VoteSlot*>(slots[lane])->value);
    }
    own.result = total;
  }
}
#define WARPTAPE_SIMT_VOTE(NAME, START, EXPRESSION)                                              \
  struct NAME {                                                                                  \
    using Value = unsigned long long;                                                            \
    static constexpr Value start = START;                                                        \
    static __attribute__((always_inline)) Value apply(Value total, [[maybe_unused]] int lane,    \
                                                      [[maybe_unused]] Value own, Value other) { \
      return EXPRESSION;                                                                         \
    }                                                                                            \
  }
WARPTAPE_SIMT_VOTE(Ballot, 0, total | (Value{other != 0} << lane));
WARPTAPE_SIMT_VOTE(Any, 0, Value{total != 0 || other != 0});
WARPTAPE_SIMT_VOTE(All, 1, Value{total != 0 && other != 0});
WARPTAPE_SIMT_VOTE(MatchAny, 0, total | (Value{own == other} << lane));
WARPTAPE_SIMT_VOTE(Add, 0, total + other);
WARPTAPE_SIMT_VOTE(Min, ~0ull, total < other ? total : other);
WARPTAPE_SIMT_VOTE(Max, 0, total > other ? total : other);
WARPTAPE_SIMT_VOTE(And, ~0ull, total& other);
WARPTAPE_SIMT_VOTE(Or, 0, total | other);
WARPTAPE_SIMT_VOTE(Xor, 0, total ^ other);
#undef WARPTAPE_SIMT_VOTE

template <class Function>
unsigned long long run_vote(const char* what, unsigned mask, unsigned long long value,
                            const char* file, int line) {
  VoteSlot slot{value, 0};
  warp_collective(what, mask, &slot, &vote<Function>, false, file, line);
  return slot.result;
}

inline unsigned lane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
}

template <class T>
T run_shuffle(const char* what, unsigned mask, T value, unsigned source, int width,
              const char* file, int line) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  if (width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
    bad_width(what, width);
  }
  ShuffleSlot<T> slot{value, source, {}};
  warp_collective(what, mask, &slot, &shuffle<T>, false, file, line);
  return slot.result;
}

}  // namespace warptape::simt::engine

// The caller's place, for messages and for deleting barriers.
#define WARPTAPE_SIMT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(WARPTAPE_SIMT_SITE) {
  warptape::simt::engine::block_barrier("__syncthreads", 0,
                                        &warptape::simt::engine::ignore_predicate, file, line);
}
inline int __syncthreads_count(int predicate, WARPTAPE_SIMT_SITE) {
  return warptape::simt::engine::block_barrier("__syncthreads_count", predicate,
                                               &warptape::simt::engine::add_predicate, file, line);
}
inline int __syncthreads_or(int predicate, WARPTAPE_SIMT_SITE) {
  return warptape::simt::engine::block_barrier("__syncthreads_or", predicate,
                                               &warptape::simt::engine::add_predicate, file,
                                               line) != 0;
}
inline int __syncthreads_and(int predicate, WARPTAPE_SIMT_SITE) {
  return warptape::simt::engine::block_barrier(
             "__syncthreads_and", predicate, &warptape::simt::engine::count_false, file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, WARPTAPE_SIMT_SITE) {
  warptape::simt::engine::warp_collective("__syncwarp", mask, nullptr, nullptr, true, file, line);
}

// Lanes are counted within segments of `width` (a power of two), as in CUDA.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, WARPTAPE_SIMT_SITE) {
  const unsigned own = warptape::simt::engine::lane();
  const unsigned first = own & ~static_cast<unsigned>(width - 1);
  const unsigned from = first + (static_cast<unsigned>(source) & static_cast<unsigned>(width - 1));
  return warptape::simt::engine::run_shuffle("__shfl_sync", mask, value, from, width, file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, WARPTAPE_SIMT_SITE) {
  const unsigned own = warptape::simt::engine::lane();
  const unsigned last = own | static_cast<unsigned>(width - 1);
  const unsigned from = own ^ static_cast<unsigned>(lane_mask);
  return warptape::simt::engine::run_shuffle("__shfl_xor_sync", mask, value,
                                             from > last ? own : from, width, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, WARPTAPE_SIMT_SITE) {
  const unsigned own = warptape::simt::engine::lane();
  const unsigned within = own & static_cast<unsigned>(width - 1);
  return warptape::simt::engine::run_shuffle("__shfl_up_sync", mask, value,
                                             within < delta ? own : own - delta, width, file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, WARPTAPE_SIMT_SITE) {
  const unsigned own = warptape::simt::engine::lane();
  const unsigned last = own | static_cast<unsigned>(width - 1);
  return warptape::simt::engine::run_shuffle(
      "__shfl_down_sync", mask, value, own + delta > last ? own : own + delta, width, file, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<Ballot>("__ballot_sync", mask, predicate != 0, file, line));
}
inline int __any_sync(unsigned mask, int predicate, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<int>(run_vote<Any>("__any_sync", mask, predicate != 0, file, line));
}
inline int __all_sync(unsigned mask, int predicate, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<int>(run_vote<All>("__all_sync", mask, predicate != 0, file, line));
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return static_cast<unsigned>(run_vote<MatchAny>("__match_any_sync", mask, bits, file, line));
}
template <class T>
unsigned __match_all_sync(unsigned mask, T value, int* predicate, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const auto equal =
      static_cast<unsigned>(run_vote<MatchAny>("__match_all_sync", mask, bits, file, line));
  *predicate = equal == mask;
  return equal == mask ? mask : 0;
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<Add>("__reduce_add_sync", mask, value, file, line));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<Min>("__reduce_min_sync", mask, value, file, line));
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<Max>("__reduce_max_sync", mask, value, file, line));
}
inline int __reduce_add_sync(unsigned mask, int value, WARPTAPE_SIMT_SITE) {
  return static_cast<int>(__reduce_add_sync(mask, static_cast<unsigned>(value), file, line));
}
// Signed numbers are ordered as unsigned ones once their sign bit is flipped.
inline int __reduce_min_sync(unsigned mask, int value, WARPTAPE_SIMT_SITE) {
  constexpr unsigned sign = 1u << 31;
  return static_cast<int>(__reduce_min_sync(mask, static_cast<unsigned>(value) ^ sign, file, line) ^
                          sign);
}
inline int __reduce_max_sync(unsigned mask, int value, WARPTAPE_SIMT_SITE) {
  constexpr unsigned sign = 1u << 31;
  return static_cast<int>(__reduce_max_sync(mask, static_cast<unsigned>(value) ^ sign, file, line) ^
                          sign);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<And>("__reduce_and_sync", mask, value, file, line));
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<Or>("__reduce_or_sync", mask, value, file, line));
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, WARPTAPE_SIMT_SITE) {
  using namespace warptape::simt::engine;
  return static_cast<unsigned>(run_vote<Xor>("__reduce_xor_sync", mask, value, file, line));
}

template <class T>
T __ldg(const T* pointer) {
  return *pointer;
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __ffs(int x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}

// NOLINTEND(bugprone-reserved-identifier,bugprone-macro-parentheses)
