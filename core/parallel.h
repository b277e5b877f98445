#pragma once
// Loops over the CPU's threads.

#include <algorithm>
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace warptape {

// Threads that CPU kernels use; the default is the machine's. At least 1.
int num_threads();
void set_num_threads(int threads);

// Below this many element operations a loop runs on the calling thread.
inline constexpr int64_t default_grain = 32768;

// Calls body(begin, end) for parts of [0, count), each of at least `grain` indices, on several
// threads. The parts depend on the number of threads, so a body must compute every index on its
// own: then the results do not. The body must not throw.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) {
    return;
  }
  const int64_t parts = std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, num_threads());
  if (parts == 1) {
    body(int64_t{0}, count);
    return;
  }
#ifdef _OPENMP
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
#endif
  for (int64_t part = 0; part < parts; ++part) {
    body(part * count / parts, (part + 1) * count / parts);
  }
}

}  // namespace warptape
