#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/device/gpu.h"
#include "tools/kernel_timer.h"

namespace warptape::tools {

KernelTimer::KernelTimer(int repeats, int64_t buffer_bytes)
    : repeats_(repeats), buffer_(Tensor::empty({buffer_bytes}, uint8, cuda)) {}

void KernelTimer::fill(int times) {
  for (int i = 0; i < times; ++i) {
    gpu::fill_bytes(buffer_.mutable_data<uint8_t>(), 0, static_cast<size_t>(buffer_.numel()),
                    gpu::current_stream());
  }
}

// How many fills last twice as long as the host takes to queue the work twice.
int KernelTimer::fills_to_hide(const std::function<void()>& run) {
  constexpr double most = 100;
  fill(1);
  run();  // allocates what later runs find in caches, and builds what libraries build once
  gpu::synchronize();
  gpu::Event start(gpu::Event::Timing::On);
  gpu::Event end(gpu::Event::Timing::On);
  start.record(gpu::current_stream());
  fill(1);
  end.record(gpu::current_stream());
  const auto before = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double, std::milli> queueing =
      std::chrono::steady_clock::now() - before;
  const double one_fill = end.milliseconds_since(start);
  gpu::synchronize();
  return static_cast<int>(std::ceil(std::clamp(4 * queueing.count() / one_fill, 1.0, most)));
}

Timing KernelTimer::timing_of(int fills, bool hot, const std::function<void()>& run) {
  std::vector<double> times;
  for (int i = 0; i < repeats_; ++i) {
    gpu::Event start(gpu::Event::Timing::On);
    gpu::Event end(gpu::Event::Timing::On);
    fill(fills);
    if (hot) {
      run();
    }
    start.record(gpu::current_stream());
    run();
    end.record(gpu::current_stream());
    times.push_back(end.milliseconds_since(start));
  }
  gpu::synchronize();
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), times.back()};
}

KernelTimes KernelTimer::time(const std::function<void()>& run) {
  const int fills = fills_to_hide(run);
  KernelTimes result;
  result.cold = timing_of(fills, false, run);
  result.hot = timing_of(fills, true, run);
  return result;
}

}  // namespace warptape::tools
