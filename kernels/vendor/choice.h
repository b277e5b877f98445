#pragma once
// Which kernel serves a product on a GPU: ours, or cuBLASLt's or cuDNN's. The choice is a function
// of the product, the GPU's architecture and a table of measurements that is part of the sources,
// so it is the same in every run; nothing is tried out while a program runs.

#include <span>
#include <vector>

#include "kernels/vendor/gpu_libraries.h"
#include "kernels/vendor/product.h"

namespace warptape {

// What a report (docs/results) says of a product on one architecture: microseconds of our kernel
// and of the library's, with caches flushed before.
struct MeasuredProduct {
  int architecture;  // 90 for sm_90
  Product product;
  double ours_us;
  double library_us;  // 0: the library has no kernel for it
};

// The committed table, which tools/library_table.py makes from the reports.
std::span<const MeasuredProduct> measured_products();

// Whether the library is the faster one in this row. A library must save a tenth: below that the
// two are even, and ours serves, which depends on nobody's release.
bool library_is_faster(const MeasuredProduct& measured);

// The row that stands for a product; nullptr where nothing like it was measured. Rows of the same
// kind, precision and depth-wise or not; of these the nearest architecture's (the older of two);
// of these the nearest one by the logarithms of the sizes (the first of several).
const MeasuredProduct* nearest_measured(const Product& product, int architecture,
                                        std::span<const MeasuredProduct> table);

// Off: never. On: always. Auto: where the nearest measured product says that it is faster; never
// where nothing was measured.
bool library_is_chosen(const Product& product, GpuLibraries mode, int architecture,
                       std::span<const MeasuredProduct> table = measured_products());

// The same for this process and its GPU.
bool library_is_chosen(const Product& product);

// Whether it is chosen and can be loaded, or the user wants it: then what our kernels do in one
// pass with other ops is left to it and to these ops. A library that is chosen and is not there
// counts as asked.
bool library_may_serve(const Product& product);

// Who served, by product, while serving was logged.
struct Served {
  Product product;
  int64_t asked = 0;  // how often the library was chosen
  int64_t by_library = 0;
  int64_t by_ours = 0;
};
void start_serving_log();                // forgets what was logged before
std::vector<Served> stop_serving_log();  // ordered by product

namespace serving_detail {
enum class Event { Asked, ByLibrary, ByOurs };
void log(const Product& product, Event event);  // nothing while no log is kept
}  // namespace serving_detail

// Calls library() if it is chosen; returns what that returned: whether the product was served.
template <class Library>
bool serve_by_library(const Product& product, const Library& library) {
  if (!library_is_chosen(product)) {
    return false;
  }
  serving_detail::log(product, serving_detail::Event::Asked);
  if (!library()) {
    return false;
  }
  serving_detail::log(product, serving_detail::Event::ByLibrary);
  return true;
}

// By the library where it is chosen and can, else by ours().
template <class Library, class Ours>
void serve(const Product& product, const Library& library, const Ours& ours) {
  if (!serve_by_library(product, library)) {
    ours();
    serving_detail::log(product, serving_detail::Event::ByOurs);
  }
}

}  // namespace warptape
