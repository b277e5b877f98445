#include "core/write_words.h"

#include "core/device/launch.h"

namespace warptape {
namespace {

constexpr int block_threads = 256;

__global__ void __launch_bounds__(block_threads)
    write_words_kernel(const WordTable __grid_constant__ words, const int64_t* from, int64_t* to,
                       int64_t count) {
  const int64_t thread = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  if (thread < words.count) {
    *words.places[thread] = words.values[thread];
  }
  if (thread < count) {
    to[thread] = from[thread];
  }
}

}  // namespace

void write_words(gpu::StreamHandle stream, const WordTable& words, const int64_t* from, int64_t* to,
                 int64_t count) {
  const int64_t threads = count > words.count ? count : words.count;
  launch(write_words_kernel,
         {.grid = dim3(static_cast<unsigned>((threads + block_threads - 1) / block_threads)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "write_words"},
         words, from, to, count);
}

}  // namespace warptape
