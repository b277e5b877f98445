#include "core/parallel.h"

#include <pthread.h>

#include <atomic>

#include "core/check.h"
#include "core/cpu_limits.h"

namespace warptape {

// ThreadSanitizer takes OpenMP's way of waiting for races.
#if defined(_OPENMP) && !defined(__SANITIZE_THREAD__)

namespace {

std::atomic<int> chosen{0};  // 0: the default
std::atomic<bool> teams_ran{false};
std::atomic<bool> lost_team{false};  // in a child of fork()

// OpenMP's threads are not there in the child: the next loop on several would wait for them for
// ever.
void after_fork() {
  if (teams_ran) {
    lost_team = true;
    omp_set_num_threads(1);
  }
}

[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, after_fork);

int default_threads() {
  static const int threads = std::clamp(omp_get_max_threads(), 1, available_cpus());
  return threads;
}

}  // namespace

int num_threads() {
  if (lost_team) {
    return 1;
  }
  const int threads = chosen;
  return threads != 0 ? threads : default_threads();
}

void set_num_threads(int threads) {
  check<ValueError>(threads >= 1 && threads <= 1024, "[set_num_threads] got {}, wanted 1 to 1024",
                    threads);
  chosen = threads;
}

int detail::begin_team() {
  // OpenMP keeps this number for every thread of the program apart.
  thread_local int told = 0;
  const int threads = num_threads();
  if (told != threads) {
    omp_set_num_threads(threads);
    told = threads;
  }
  if (threads > 1 && !teams_ran.load(std::memory_order_relaxed)) {
    teams_ran = true;
  }
  return threads;
}

#else

int num_threads() {
  return 1;
}

void set_num_threads(int threads) {
  check<ValueError>(threads >= 1 && threads <= 1024, "[set_num_threads] got {}, wanted 1 to 1024",
                    threads);
}

int detail::begin_team() {
#ifdef _OPENMP
  omp_set_num_threads(1);
#endif
  return 1;
}

#endif

}  // namespace warptape
