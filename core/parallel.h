#pragma once
// Loops over the CPU's threads.

#include <algorithm>
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace warptape {

// Threads that CPU kernels use, whichever thread of the program calls them. The default is
// OMP_NUM_THREADS or as many as there are CPUs, and in no case more than this process may use
// (core/cpu_limits.h); set_num_threads() may ask for more. At least 1.
//
// A child of fork() that has been made after loops ran on several threads has none of those: it
// goes on with one. Loaders, streams and device "cuda" do not outlive a fork.
int num_threads();
void set_num_threads(int threads);

namespace detail {
// The same, also for OpenMP code that is not ours and that the calling thread runs next.
int begin_team();
}  // namespace detail

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
  const int64_t most = std::max<int64_t>(count / std::max<int64_t>(grain, 1), 1);
  const int64_t parts = most == 1 ? 1 : std::min<int64_t>(most, detail::begin_team());
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
