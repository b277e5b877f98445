// warptape bench stream

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "models/sequence_models.h"
#include "models/sequence_stream.h"
#include "tools/commands.h"
#include "tools/declared_options.h"
#include "tools/numbers.h"
#include "tools/recorded_step.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

struct BenchStreamOptions {
  Choice model = {"tcn"};
  int64_t inputs = 1;
  int64_t outputs = 1;
  int64_t batch = 1;
  int64_t block = 64;
  int64_t calls = 2000;
  bool json = false;
  MachineOptions machine;
};

// Microseconds of each call, one after the other, sorted.
std::vector<double> time_calls(const BenchStreamOptions& options, const OptionValues& own,
                               Device device) {
  manual_seed(0);
  const auto model =
      sequence_models()
          .find(options.model.name)
          .make({.input_channels = options.inputs, .output_size = options.outputs}, own);
  model->to(device);
  model->eval();
  const SequenceStream stream(*model, {.batch = options.batch, .block = options.block});
  StreamState state = stream.zeros();
  const Tensor x = randn({options.batch, options.inputs, options.block}, float32, device);
  Tensor y = Tensor::empty(stream.output_shape(options.block), float32, device);
  const std::function<void()> step = recorded_step(device, [&] { stream.step(state, x, y); });
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  const int64_t warmup = options.calls / 10 + 1;
  for (int64_t call = 0; call < warmup + options.calls; ++call) {
    const Clock::time_point begin = Clock::now();
    step();
    if (call >= warmup) {
      times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    }
  }
  std::sort(times.begin(), times.end());
  return times;
}

int bench_stream(const BenchStreamOptions& options) {
  const Device device = apply(options.machine);
  const OptionValues own =
      sequence_models().complete(options.model, OptionNames::flags("bench stream"));
  const std::vector<double> times = time_calls(options, own, device);
  const auto channels = std::get<std::vector<int64_t>>(own.at("channels"));
  const auto sizes = std::get<std::vector<int64_t>>(own.at("kernel_size"));
  double total = 0;
  for (double time : times) {
    total += time;
  }
  const double median = times[times.size() / 2];
  const double high = times[times.size() * 99 / 100];
  const double rate = 1e6 * static_cast<double>(options.block * options.calls) / total;
  if (options.json) {
    const nlohmann::ordered_json json{
        {"channels", channels},        {"kernel_size", sizes},
        {"batch", options.batch},      {"block", options.block},
        {"device", to_string(device)}, {"device_name", describe_device(device)},
        {"calls", options.calls},      {"median_us", median},
        {"percentile_99_us", high},    {"max_us", times.back()},
        {"steps_per_second", rate}};
    fmt::print("{}", json_document(json));
    return 0;
  }
  fmt::print("TCN of {} blocks, kernel size {}, float32, {} stream{}, {} step{} a call, on {}\n",
             channels.size(), fmt::join(sizes, ","), options.batch, options.batch == 1 ? "" : "s",
             options.block, options.block == 1 ? "" : "s", describe_device(device));
  fmt::print("  channels {}\n", fmt::join(channels, ","));
  fmt::print("  {:.0f} steps/s of every stream\n", rate);
  fmt::print("  a call: median {:.1f} us of {} (99 % below {:.1f}, longest {:.1f})\n", median,
             options.calls, high, times.back());
  return 0;
}

}  // namespace

void add_bench_stream_command(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand("stream", "Time a TCN step by step, on random input");
  auto options = std::make_shared<BenchStreamOptions>();
  const auto size = whole_number(1, 1 << 16);
  add_number_with_default(*command, "--inputs", options->inputs, size, "Channels of the input");
  add_number_with_default(*command, "--outputs", options->outputs, size, "Channels of the output");
  add_number_with_default(*command, "--batch", options->batch, whole_number(1, 65535), "Streams");
  add_number_with_default(*command, "--block", options->block, whole_number(1, 4096),
                          "Steps of a call");
  add_number_with_default(*command, "--calls", options->calls, whole_number(1, 1 << 24),
                          "Timed calls; a tenth as many run before them");
  add_declared_options(*command, "bench stream", "model", sequence_models(),
                       options->model.options);
  command->add_flag("--json", options->json, "Print a JSON object");
  add_machine_options(*command, options->machine);
  command->footer(
      "Example:\n  warptape bench stream --channels 25,25,25,25 --kernel-size 7 --block 1 "
      "--threads 1");
  command->callback([options] { bench_stream(*options); });
}

}  // namespace warptape::tools
