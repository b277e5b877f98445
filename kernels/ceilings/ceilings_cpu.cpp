#include <atomic>

#include "core/parallel.h"
#include "kernels/ceilings/ceilings.h"
#include "kernels/conv1d/lines.h"

namespace warptape::ceilings {

int64_t multiply_add_cpu(int64_t rounds) {
  std::atomic<int64_t> flops{0};
  parallel_for(num_threads(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      flops += run_line_fmas(rounds);
    }
  });
  return flops;
}

}  // namespace warptape::ceilings
