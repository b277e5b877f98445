#include "kernels/vendor/choice.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>
#include <tuple>

#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/memo.h"

namespace warptape {
namespace {

// A library's time over ours at which it begins to serve.
constexpr double worth_changing = 0.9;

// A distance is counted in 1024ths of an octave: whole numbers, so that ties are the same
// everywhere.
constexpr int64_t octave = 1024;
constexpr int64_t other_layout = 2 * octave;

int64_t octaves(int64_t size) {
  return std::llround(octave * std::log2(static_cast<double>(std::max<int64_t>(size, 1))));
}

int64_t distance(const Product& a, const Product& b) {
  int64_t result = 0;
  for (const auto size :
       {&Product::m, &Product::n, &Product::k, &Product::taps, &Product::groups}) {
    result += std::abs(octaves(a.*size) - octaves(b.*size));
  }
  for (const auto flag : {&Product::transpose_a, &Product::transpose_b, &Product::relu_grad}) {
    result += a.*flag != b.*flag ? other_layout : 0;
  }
  return result;
}

bool same_kind(const Product& a, const Product& b) {
  return a.kind == b.kind && a.precision == b.precision && a.depthwise == b.depthwise;
}

int this_architecture() {
  if constexpr (has_gpu) {
    static const int once = gpu::properties().compute_capability;
    return once;
  }
  return 0;
}

struct Log {
  std::atomic<bool> on{false};
  std::mutex mutex;
  std::map<Product, Served> products;
};
Log& serving_log() {
  static auto* const once = new Log;
  return *once;
}

}  // namespace

bool library_is_faster(const MeasuredProduct& measured) {
  return measured.library_us > 0 && measured.library_us < worth_changing * measured.ours_us;
}

const MeasuredProduct* nearest_measured(const Product& product, int architecture,
                                        std::span<const MeasuredProduct> table) {
  const MeasuredProduct* best = nullptr;
  std::tuple<int, int, int64_t> least;
  for (const MeasuredProduct& row : table) {
    if (!same_kind(row.product, product)) {
      continue;
    }
    const std::tuple<int, int, int64_t> apart{std::abs(row.architecture - architecture),
                                              row.architecture, distance(row.product, product)};
    if (best == nullptr || apart < least) {
      best = &row;
      least = apart;
    }
  }
  return best;
}

bool library_is_chosen(const Product& product, GpuLibraries mode, int architecture,
                       std::span<const MeasuredProduct> table) {
  if (mode != GpuLibraries::Auto) {
    return mode == GpuLibraries::On;
  }
  const MeasuredProduct* const row = nearest_measured(product, architecture, table);
  return row != nullptr && library_is_faster(*row);
}

bool library_is_chosen(const Product& product) {
  thread_local Memo<std::pair<Product, GpuLibraries>, bool> chosen;
  const GpuLibraries mode = gpu_libraries();
  return chosen.of({product, mode},
                   [&] { return library_is_chosen(product, mode, this_architecture()); });
}

void start_serving_log() {
  Log& log = serving_log();
  std::lock_guard lock(log.mutex);
  log.products.clear();
  log.on = true;
}

std::vector<Served> stop_serving_log() {
  Log& log = serving_log();
  std::lock_guard lock(log.mutex);
  log.on = false;
  std::vector<Served> result;
  for (const auto& entry : log.products) {
    result.push_back(entry.second);
  }
  log.products.clear();
  return result;
}

void serving_detail::log(const Product& product, Event event) {
  Log& log = serving_log();
  if (!log.on) {
    return;
  }
  std::lock_guard lock(log.mutex);
  Served& served = log.products[product];
  served.product = product;
  served.asked += event == Event::Asked ? 1 : 0;
  served.by_library += event == Event::ByLibrary ? 1 : 0;
  served.by_ours += event == Event::ByOurs ? 1 : 0;
}

bool library_may_serve(const Product& product) {
  if (!library_is_chosen(product)) {
    return false;
  }
  const bool is_gemm = product.kind == ProductKind::Gemm;
  if (gpu_libraries() == GpuLibraries::On ||
      (is_gemm ? cublas_library() : cudnn_library()).reason.empty()) {
    return true;
  }
  serving_detail::log(product, serving_detail::Event::Asked);
  return false;
}

}  // namespace warptape
