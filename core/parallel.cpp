#include "core/parallel.h"

#include "core/error.h"

namespace warptape {

int num_threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

void set_num_threads(int threads) {
  check<ValueError>(threads >= 1 && threads <= 1024, "[set_num_threads] got {}, wanted 1 to 1024",
                    threads);
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

}  // namespace warptape
