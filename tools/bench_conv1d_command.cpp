// warptape bench conv1d

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/parallel.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ceilings/ceilings.h"
#include "kernels/conv1d/conv1d.h"
#include "tools/commands.h"
#include "tools/numbers.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

struct BenchConv1dOptions {
  int64_t batch_size = 64;
  int64_t in_channels = 25;
  int64_t out_channels = 25;
  int64_t kernel_size = 7;
  int64_t dilation = 1;
  int64_t length = 784;
  int64_t calls = 20;
  bool json = false;
  int threads = 0;
};

// Seconds.
struct Times {
  std::vector<double> peak;
  std::vector<double> forward;
  std::vector<double> backward;
};

template <class Work>
double seconds_of(const Work& work) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Multiply-adds in registers, by every thread, for about a millisecond.
constexpr int64_t peak_rounds = 200'000;

// In turn, so that all three meet the same machine.
Times time_calls(const BenchConv1dOptions& options) {
  manual_seed(0);
  Tensor x = randn({options.batch_size, options.in_channels, options.length});
  Tensor weight = randn({options.out_channels, options.in_channels, options.kernel_size});
  Tensor bias = randn({options.out_channels});
  const Conv1dOptions conv{.padding = Padding1d::causal(), .dilation = options.dilation};
  const Tensor dy = randn({options.batch_size, options.out_channels, options.length});
  Times times;
  for (int64_t call = 0; call <= options.calls; ++call) {
    const double peak = seconds_of([] { ceilings::multiply_add_cpu(peak_rounds); });
    Tape tape;
    tape.watch(x);
    tape.watch(weight);
    tape.watch(bias);
    Tensor y;
    const double forward = seconds_of([&] { y = conv1d(x, weight, bias, conv); });
    const Tensor seed = y.memory_format() == dy.memory_format() ? dy : dy.to(y.memory_format());
    const double backward = seconds_of([&] { tape.backward(y, seed); });
    if (call > 0) {  // the first one warms up
      times.peak.push_back(peak);
      times.forward.push_back(forward);
      times.backward.push_back(backward);
    }
  }
  return times;
}

// Of the forward pass: those of taps that meet an element.
double flops_of(const BenchConv1dOptions& options) {
  int64_t products = 0;
  for (int64_t k = 0; k < options.kernel_size; ++k) {
    products += std::max<int64_t>(0, options.length - k * options.dilation);
  }
  return 2.0 * static_cast<double>(options.batch_size * options.in_channels) *
         static_cast<double>(options.out_channels * products);
}

int bench_conv1d(const BenchConv1dOptions& options) {
  apply({.device = "cpu", .threads = options.threads});
  Times times = time_calls(options);
  const double flops = flops_of(options);
  const double peak =
      static_cast<double>(ceilings::multiply_add_cpu(1) * peak_rounds) / median(times.peak);
  const double forward = flops / median(times.forward);
  const double backward = 2 * flops / median(times.backward);  // by x and by the filters
  if (options.json) {
    const nlohmann::ordered_json json{{"batch_size", options.batch_size},
                                      {"in_channels", options.in_channels},
                                      {"out_channels", options.out_channels},
                                      {"kernel_size", options.kernel_size},
                                      {"dilation", options.dilation},
                                      {"length", options.length},
                                      {"threads", num_threads()},
                                      {"calls", options.calls},
                                      {"forward_ms", 1e3 * median(times.forward)},
                                      {"backward_ms", 1e3 * median(times.backward)},
                                      {"forward_gflops", forward / 1e9},
                                      {"backward_gflops", backward / 1e9},
                                      {"peak_gflops", peak / 1e9}};
    fmt::print("{}", json_document(json));
    return 0;
  }
  fmt::print(
      "conv1d {} to {} channels, kernel size {}, dilation {}, causal, of {}x{} steps, float32, on "
      "{}\n",
      options.in_channels, options.out_channels, options.kernel_size, options.dilation,
      options.batch_size, options.length, describe_device(cpu));
  const bool has_peak = peak > 0;  // not where there are no loops along lines
  if (has_peak) {
    fmt::print("  multiply-adds in registers: {:.1f} GFLOP/s\n", peak / 1e9);
  }
  const auto row = [&](const char* name, std::vector<double>& seconds, double rate) {
    fmt::print("  {:<9} {:>8.3f} ms  {:>7.1f} GFLOP/s{}\n", name, 1e3 * median(seconds), rate / 1e9,
               has_peak ? fmt::format("  {:>3.0f} % of that", 100 * rate / peak) : "");
  };
  row("forward", times.forward, forward);
  row("backward", times.backward, backward);
  return 0;
}

}  // namespace

void add_bench_conv1d_command(CLI::App& bench) {
  CLI::App* command =
      bench.add_subcommand("conv1d", "Time causal convolutions on the CPU, beside its peak");
  auto options = std::make_shared<BenchConv1dOptions>();
  const auto size = whole_number(1, 1 << 16);
  add_number_with_default(*command, "--batch-size", options->batch_size, size);
  add_number_with_default(*command, "--in-channels", options->in_channels, size);
  add_number_with_default(*command, "--out-channels", options->out_channels, size);
  add_number_with_default(*command, "--kernel-size", options->kernel_size, size);
  add_number_with_default(*command, "--dilation", options->dilation, size);
  add_number_with_default(*command, "--length", options->length, whole_number(1, 1 << 20));
  add_number_with_default(*command, "--calls", options->calls, size,
                          "Timed calls, of which the median counts");
  add_number(*command, "--threads", options->threads, whole_number(1, 1024), "CPU threads [all]");
  command->add_flag("--json", options->json, "Print a JSON object");
  command->footer(
      "FLOPs are those of taps that meet an element. Backward is the gradients by x, by the "
      "filters\n"
      "and by the bias; its FLOPs are twice those of forward.\n"
      "Example:\n  warptape bench conv1d --in-channels 30 --out-channels 30 --length 600 --threads "
      "1");
  command->callback([options] { bench_conv1d(*options); });
}

}  // namespace warptape::tools
