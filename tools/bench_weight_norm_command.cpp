// warptape bench weight_norm

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/primitives.h"
#include "tools/commands.h"
#include "tools/kernel_timer.h"
#include "tools/numbers.h"
#include "tools/weight_norm_work.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

struct BenchWeightNormOptions {
  std::string only;
  double seconds = 2;
  bool json = false;
  MachineOptions machine;
};

struct WeightNormTimes {
  WeightNormCase of;
  const char* direction;
  int64_t bytes = 0;
  double seconds = 0;
  double copy_seconds = 0;  // of a copy that moves as many bytes
  double least_seconds = 0;
  double least_copy_seconds = 0;

  double rate() const { return static_cast<double>(bytes) / seconds / 1e9; }
  double copy_rate() const { return static_cast<double>(bytes) / copy_seconds / 1e9; }
  double share() const { return copy_seconds / seconds; }
};

// A copy of half as many bytes as it shall move.
class PlainCopy {
 public:
  PlainCopy(int64_t bytes, Device device)
      : from_(Tensor::zeros({bytes / 8}, float32, device)),
        to_(Tensor::zeros({bytes / 8}, float32, device)) {}
  void run() { primitives::copy(from_, to_); }

 private:
  Tensor from_;
  Tensor to_;
};

template <class Work>
void time_into(std::vector<double>& seconds, const Work& work) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  work();
  seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
}

// Sorts them, too.
double median_of(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Each in turn with a copy, so that both meet the same machine.
std::vector<WeightNormTimes> time_on_cpu(const WeightNormCase& of, double most_seconds) {
  using Clock = std::chrono::steady_clock;
  WeightNormWork work(of, cpu);
  PlainCopy forward_copy(work.forward_bytes(), cpu);
  PlainCopy backward_copy(work.backward_bytes(), cpu);
  std::vector<double> forward;
  std::vector<double> backward;
  std::vector<double> copy_of_forward;
  std::vector<double> copy_of_backward;
  const auto round = [&] {
    time_into(copy_of_forward, [&] { forward_copy.run(); });
    work.prepare_forward();
    time_into(forward, [&] { work.forward(); });
    work.prepare_backward();
    time_into(backward, [&] { work.backward(); });
    time_into(copy_of_backward, [&] { backward_copy.run(); });
  };
  round();
  for (std::vector<double>* times : {&forward, &backward, &copy_of_forward, &copy_of_backward}) {
    times->clear();  // the first one warmed up
  }
  constexpr size_t least_rounds = 3;
  const Clock::time_point begin = Clock::now();
  while (forward.size() < least_rounds ||
         std::chrono::duration<double>(Clock::now() - begin).count() < most_seconds) {
    round();
  }
  const auto row = [&](const char* direction, int64_t bytes, std::vector<double>& times,
                       std::vector<double>& copies) {
    const double median = median_of(times);
    const double median_of_copies = median_of(copies);
    return WeightNormTimes{
        of, direction, bytes, median, median_of_copies, times.front(), copies.front()};
  };
  return {row("forward", work.forward_bytes(), forward, copy_of_forward),
          row("backward", work.backward_bytes(), backward, copy_of_backward)};
}

// By the device's clock, with caches flushed before.
std::vector<WeightNormTimes> time_on_cuda(const WeightNormCase& of) {
  std::vector<WeightNormTimes> result;
  if constexpr (has_gpu) {
    constexpr int64_t least_flushed = int64_t{512} << 20;
    const bool is_emulated = gpu::is_emulated();
    KernelTimer timer(is_emulated ? 1 : 20, is_emulated ? 1 << 16 : least_flushed);
    WeightNormWork work(of, cuda);
    work.prepare_forward();
    work.forward();
    work.prepare_backward();
    work.backward();
    const auto add = [&](const char* direction, int64_t bytes, const std::function<void()>& run) {
      PlainCopy copy(bytes, cuda);
      const Timing times = timer.time(run).cold;
      const Timing copies = timer.time([&] { copy.run(); }).cold;
      result.push_back({of, direction, bytes, times.median_ms / 1e3, copies.median_ms / 1e3,
                        times.min_ms / 1e3, copies.min_ms / 1e3});
    };
    add("forward", work.forward_bytes(), [&] { work.run_forward_kernels(); });
    add("backward", work.backward_bytes(), [&] { work.run_backward_kernels(); });
  }
  return result;
}

void print_rows(const std::vector<WeightNormTimes>& rows, Device device) {
  fmt::print("weight_norm, float32, on {}; GB/s of bytes that have to move\n",
             describe_device(device));
  fmt::print("  {:<18} {:<9} {:>12} {:>12} {:>8} {:>11} {:>8}\n", "weights", "", "bytes",
             "time, us", "GB/s", "copy, GB/s", "of copy");
  for (const WeightNormTimes& row : rows) {
    fmt::print(
        "  {:<18} {:<9} {:>12} {:>12.1f} {:>8.1f} {:>11.1f} {:>6.0f} % {:>12.1f} {:>12.0f} %\n",
        row.of.name, row.direction, row.bytes, 1e6 * row.seconds, row.rate(), row.copy_rate(),
        100 * row.share(), 1e6 * row.least_seconds,
        100 * row.least_copy_seconds / row.least_seconds);
  }
}

void bench_weight_norm(const BenchWeightNormOptions& options) {
  const Device device = apply(options.machine);
  std::vector<WeightNormTimes> rows;
  for (const WeightNormCase& each : weight_norm_bench_cases()) {
    if (each.name.find(options.only) != std::string::npos) {
      const auto times = device == cpu ? time_on_cpu(each, options.seconds) : time_on_cuda(each);
      rows.insert(rows.end(), times.begin(), times.end());
    }
  }
  check<ValueError>(!rows.empty(),
                    "[bench weight_norm] --only: got \"{}\", which is in no name of a row",
                    escaped(options.only));
  if (!options.json) {
    print_rows(rows, device);
    return;
  }
  nlohmann::ordered_json json{{"device", to_string(device)},
                              {"device_name", describe_device(device)},
                              {"threads", num_threads()}};
  for (const WeightNormTimes& row : rows) {
    std::vector<std::vector<int64_t>> shapes;
    for (const Shape& shape : row.of.shapes) {
      auto& sizes = shapes.emplace_back();
      for (int axis = 0; axis < shape.rank(); ++axis) {
        sizes.push_back(shape[axis]);
      }
    }
    json["results"].push_back({{"name", row.of.name},
                               {"shapes", shapes},
                               {"dim", row.of.dim},
                               {"direction", row.direction},
                               {"bytes", row.bytes},
                               {"median_ms", 1e3 * row.seconds},
                               {"gb_per_s", row.rate()},
                               {"copy_gb_per_s", row.copy_rate()},
                               {"share_of_copy", row.share()},
                               {"min_ms", 1e3 * row.least_seconds},
                               {"copy_min_ms", 1e3 * row.least_copy_seconds}});
  }
  fmt::print("{}", json_document(json));
}

std::string names_of_cases() {
  std::string lines = "Rows, float32, each forward and backward:\n";
  for (const WeightNormCase& each : weight_norm_bench_cases()) {
    lines += fmt::format("  {:<18} {} weight{}, {} elements\n", each.name, each.shapes.size(),
                         each.shapes.size() == 1 ? "" : "s", each.numel());
  }
  return lines;
}

}  // namespace

void add_bench_weight_norm_command(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand(
      "weight_norm", "Time weight normalization, beside copies of as many bytes");
  auto options = std::make_shared<BenchWeightNormOptions>();
  command->add_option("--only", options->only, "Rows whose name has this in it")
      ->check(not_empty());
  add_number_with_default(
      *command, "--seconds", options->seconds,
      NumberRule<double>{"0 to 3600", [](double value) { return value >= 0 && value <= 3600; }},
      "For each weight on the CPU; three calls at least, of which the median counts");
  command->add_flag("--json", options->json, "Print a JSON object");
  add_machine_options(*command, options->machine);
  command->footer(
      names_of_cases() +
      "Bytes are those that have to move: v and w; v, the gradient of w and that of v. Copies\n"
      "move as many, in turn with them. On the CPU a time is that of a call, recorded on a tape, "
      "of\n"
      "v and g that have changed; on a GPU that of the kernels, by the device's clock, with "
      "caches\n"
      "flushed before. PyTorch's beside it: tools/bench_weight_norm_vs_pytorch.py.\n"
      "Example:\n  warptape bench weight_norm --only 512x4608 --threads 1");
  command->callback([options] { bench_weight_norm(*options); });
}

}  // namespace warptape::tools
