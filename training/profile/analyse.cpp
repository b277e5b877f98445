#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "training/profile/events.h"
#include "training/profile/step_profile.h"

namespace warptape::profiling {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Sums of what one row stands for, over all steps.
struct Sums {
  int64_t calls = 0;
  int64_t ns = 0;
  int64_t host_ns = 0;
  int64_t told = 0;  // calls that told their work
  profile::Work work;

  Figures per_step(int64_t steps) const {
    const auto n = static_cast<double>(steps);
    Figures figures;
    figures.calls = static_cast<double>(calls) / n;
    figures.ms = static_cast<double>(ns) / 1e6 / n;
    if (told == calls && told > 0) {
      figures.work =
          profile::Work{work.bytes_read / steps, work.bytes_written / steps, work.flops / steps};
    }
    return figures;
  }
};

using OpKey = std::tuple<std::string, std::string, profile::Phase>;  // layer, op
using KernelKey = std::tuple<std::string, std::string, std::string, profile::Phase>;

template <class Rows>
void longest_first(Rows& rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.figures.ms > b.figures.ms; });
}

// Time of the device in each range, by its own activities alone.
std::unordered_map<uint64_t, int64_t> device_times(const Captured& captured, const Events& events) {
  std::unordered_map<uint64_t, int64_t> times;
  for (const gpu::Activity& activity : captured.activities) {
    times[activity.range] += activity.duration_ns;
    if (activity.kind == gpu::Activity::Kind::Range) {  // has those of the ranges inside in it
      if (const profile::Event* event = events.find(activity.range)) {
        times[event->parent] -= activity.duration_ns;
      }
    }
  }
  return times;
}

std::vector<OpRow> op_rows(const Captured& captured, const Events& events) {
  const bool on_device = !captured.source.empty();
  const auto times = device_times(captured, events);
  std::map<OpKey, Sums> sums;
  for (const profile::Event* event : events.of_steps()) {
    Sums& sum = sums[{events.layer_of(*event), Events::op_of(*event), event->phase}];
    const int64_t host = events.self_ns(*event);
    const auto found = times.find(event->id);
    ++sum.calls;
    sum.host_ns += host;
    sum.ns += !on_device ? host : found != times.end() ? found->second : 0;
    sum.told += event->has_work ? 1 : 0;
    sum.work.add(event->work);
  }
  std::vector<OpRow> rows;
  for (const auto& [key, sum] : sums) {
    const auto& [layer, op, phase] = key;
    rows.push_back({op, layer, phase, sum.per_step(captured.steps),
                    static_cast<double>(sum.host_ns) / 1e6 / static_cast<double>(captured.steps)});
  }
  longest_first(rows);
  return rows;
}

std::vector<KernelRow> kernel_rows(const Captured& captured, const Events& events) {
  std::unordered_map<uint64_t, const profile::Launch*> launches;
  for (const profile::Launch& launch : captured.recording.launches) {
    launches[launch.id] = &launch;
  }
  std::map<KernelKey, Sums> sums;
  std::map<KernelKey, gpu::LaunchSize> sizes;
  const auto add = [&](const std::string& name, uint64_t range, int64_t ns,
                       const profile::Launch* launch, const profile::Work* work) {
    const profile::Event* event = events.find(range);
    if (event == nullptr || !events.is_of_steps(*event)) {
      return;
    }
    const KernelKey key{name, events.layer_of(*event), Events::op_of(*event), event->phase};
    Sums& sum = sums[key];
    ++sum.calls;
    sum.ns += ns;
    if (work != nullptr) {
      ++sum.told;
      sum.work.add(*work);
    }
    sizes[key] = launch == nullptr ? gpu::LaunchSize() : launch->size;
  };
  const auto work_of = [](const profile::Launch* launch) {
    return launch != nullptr && launch->has_work ? &launch->work : nullptr;
  };
  for (const gpu::Activity& activity : captured.activities) {
    if (activity.kind == gpu::Activity::Kind::Range) {
      continue;
    }
    const auto found = launches.find(activity.launch);
    const profile::Launch* const launch = found == launches.end() ? nullptr : found->second;
    profile::Work copied{.bytes_written = activity.bytes};
    if (activity.kind == gpu::Activity::Kind::Copy) {
      copied.bytes_read = activity.bytes;
    }
    add(activity.name, activity.range, activity.duration_ns, launch,
        activity.kind == gpu::Activity::Kind::Kernel ? work_of(launch) : &copied);
  }
  if (!captured.times_kernels) {  // what was launched is known all the same
    for (const profile::Launch& launch : captured.recording.launches) {
      add(launch.name, launch.range, 0, &launch, work_of(&launch));
    }
  }
  std::vector<KernelRow> rows;
  for (const auto& [key, sum] : sums) {
    const auto& [kernel, layer, op, phase] = key;
    rows.push_back({kernel, op, layer, phase, sizes.at(key), sum.per_step(captured.steps)});
  }
  longest_first(rows);
  return rows;
}

// Busy and idle time of the device; the gaps of the last step.
void look_for_gaps(const Captured& captured, const Events& events, Report& report) {
  constexpr size_t most_gaps = 5;
  std::vector<std::vector<const gpu::Activity*>> of_step(static_cast<size_t>(captured.steps));
  for (const gpu::Activity& activity : captured.activities) {
    const profile::Event* event = events.find(activity.range);
    const int64_t step = event == nullptr ? -1 : events.step_of(*event);
    if (activity.kind != gpu::Activity::Kind::Range && step >= 0) {
      of_step[static_cast<size_t>(step)].push_back(&activity);
    }
  }
  int64_t busy = 0;
  int64_t idle = 0;
  for (auto& all : of_step) {
    std::stable_sort(all.begin(), all.end(),
                     [](const auto* a, const auto* b) { return a->start_ns < b->start_ns; });
    report.gaps.clear();
    const gpu::Activity* last = nullptr;  // to end
    for (const gpu::Activity* next : all) {
      const int64_t end = next->start_ns + next->duration_ns;
      const int64_t last_end =
          last == nullptr ? next->start_ns : last->start_ns + last->duration_ns;
      if (next->start_ns > last_end) {
        idle += next->start_ns - last_end;
        report.gaps.push_back(
            {static_cast<double>(next->start_ns - last_end) / 1e6, last->name, next->name});
      }
      busy += std::max<int64_t>(0, end - std::max(last_end, next->start_ns));
      last = last == nullptr || end > last_end ? next : last;
    }
  }
  const auto n = static_cast<double>(captured.steps);
  report.device_ms = static_cast<double>(busy) / 1e6 / n;
  report.idle_ms = static_cast<double>(idle) / 1e6 / n;
  std::stable_sort(report.gaps.begin(), report.gaps.end(),
                   [](const Gap& a, const Gap& b) { return a.ms > b.ms; });
  report.gaps.resize(std::min(report.gaps.size(), most_gaps));
}

}  // namespace

double Figures::gb_per_s() const {
  return work && ms > 0 ? static_cast<double>(work->bytes()) / (ms * 1e-3) / 1e9 : 0;
}

double Figures::tflop_per_s() const {
  return work && ms > 0 ? static_cast<double>(work->flops) / (ms * 1e-3) / 1e12 : 0;
}

Report analyse(const Captured& captured) {
  const Events events(captured);
  Report report;
  report.step_ms = median(events.step_times_ms());
  report.plain_ms = median(captured.plain_ms);
  report.ops = op_rows(captured, events);
  report.kernels = kernel_rows(captured, events);
  look_for_gaps(captured, events, report);
  report.memory = look_at_memory(captured, events);
  return report;
}

}  // namespace warptape::profiling
