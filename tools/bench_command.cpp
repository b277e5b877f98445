// warptape bench, and warptape bench step MODEL

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include <fmt/format.h>

#include "core/check.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "core/random.h"
#include "kernels/vendor/choice.h"
#include "kernels/vendor/onednn.h"
#include "layers/precision.h"
#include "models/image_models.h"
#include "tools/commands.h"
#include "tools/numbers.h"
#include "training/optimizers.h"
#include "training/scalar_reader.h"
#include "training/train_step.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/dry_run.h"
#endif

namespace warptape::tools {
namespace {

struct BenchOptions {
  std::string model;
  std::string precision = "float32";
  int64_t batch_size = 128;
  int64_t warmup = 3;
  int64_t steps = 15;
  bool json = false;
  bool profile = false;
  bool no_kernels = false;  // in builds with an emulated device
  MachineOptions machine;
};

struct Profile {
  std::vector<profile::Total> totals;
  std::vector<Served> served;  // on a GPU
};

// "ours", "cuBLASLt", or both with how often, where a library serves some of the time.
std::string who_served(const Served& served) {
  const char* const library = library_of(served.product.kind);
  if (served.by_library > 0 && served.by_ours > 0) {
    return fmt::format("{} {} times, ours {} times", library, served.by_library, served.by_ours);
  }
  return served.by_library > 0 ? library
         : served.asked > 0    ? fmt::format("ours, not {}", library)
                               : "ours";
}

double peak_rss_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Milliseconds from the end of one training step to the end of the next, as they follow each other
// in training, by the training loop's own step: the host queues one, then waits for the one before,
// whose loss and gradient norm it reads.
std::vector<double> time_steps(const BenchOptions& options, Device device, Profile& profile) {
#ifdef WARPTAPE_SIMT
  std::optional<gpu::emulated::DryRun> dry;  // before all tensors: it outlives them
  if (options.no_kernels) {
    dry.emplace();
  }
#endif
  manual_seed(0);
  const auto made = find_image_model(options.model).make({});
  Module& model = *made;
  model.to(device);
  set_precision(model, options.precision);
  const ParameterStates states = parameters(model);
  SGD optimizer(states, {.lr = 0.01, .momentum = 0.9});
  const Tensor images = randn({options.batch_size, 3, 32, 32})
                            .to(MemoryFormat::ChannelsLast)  // as a loader makes them
                            .to(device);
  std::vector<int64_t> classes(static_cast<size_t>(options.batch_size));
  for (size_t i = 0; i < classes.size(); ++i) {
    classes[i] = static_cast<int64_t>(i % 10);
  }
  const Batch batch{images, tensor(classes, {options.batch_size}, device)};
  const auto losses = ScalarReader::make(device);
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> ends;
  const auto wait_for_all_but = [&](size_t steps) {
    while (losses->waiting() > steps) {
      losses->pop();
      ends.push_back(Clock::now());
    }
  };
  for (int64_t step = 0; step < options.warmup + options.steps; ++step) {
    if (step == options.warmup && options.profile) {
      profile::start();
      start_serving_log();
    }
    const QueuedStep queued = train_step(model, optimizer, states, batch, cross_entropy_loss());
    losses->push({queued.loss, queued.gradient_norm});
    wait_for_all_but(losses->worth_waiting());
  }
  wait_for_all_but(0);
  if (options.profile) {
    profile.totals = profile::summarize(profile::stop());
    profile.served = stop_serving_log();
  }
  std::vector<double> times;
  for (auto end = ends.begin() + options.warmup; end != ends.end(); ++end) {
    times.push_back(std::chrono::duration<double, std::milli>(*end - *(end - 1)).count());
  }
  std::sort(times.begin(), times.end());
  return times;
}

int bench_step(const BenchOptions& options) {
  check<ValueError>(!options.machine.tf32 || options.precision == "float32",
                    "[bench] --tf32: got --precision {}, wanted float32", options.precision);
  const Device device = apply(options.machine);
  Profile profile;
  const std::vector<double> times = time_steps(options, device, profile);
  const double median = times[times.size() / 2];
  const double rate = 1000 * static_cast<double>(options.batch_size) / median;
  const double live_peak = static_cast<double>(memory_stats(device).peak_bytes) / (1 << 20);
  const auto steps = static_cast<double>(options.steps);
  const std::string precision = options.precision != "float32" ? options.precision
                                : device == cpu                ? "float32"
                                                               : product_precision();
  if (options.json) {
    nlohmann::ordered_json json{{"model", options.model},
                                {"batch_size", options.batch_size},
                                {"precision", precision},
                                {"device", to_string(device)},
                                {"device_name", describe_device(device)},
                                {"threads", num_threads()},
                                {"steps", options.steps},
                                {"median_ms", median},
                                {"min_ms", times.front()},
                                {"max_ms", times.back()},
                                {"samples_per_second", rate},
                                {"peak_rss_mb", peak_rss_mib()},
                                {"peak_tensors_mb", live_peak},
                                {"onednn", onednn_version()},
                                {"instruction_set", onednn_instruction_set()}};
    if (device != cpu) {
      json["gpu_libraries"] = name_of(gpu_libraries());
      json["cublaslt"] = version_of(cublas_library());
      json["cudnn"] = version_of(cudnn_library());
    }
    for (const profile::Total& total : profile.totals) {
      json["profile"][total.name] = {{"calls", total.calls},
                                     {"self_ms", static_cast<double>(total.self_ns) / 1e6 / steps}};
    }
    for (const Served& served : profile.served) {
      json["products"].push_back({{"product", to_string(served.product)},
                                  {"asked_library", served.asked},
                                  {"by_library", served.by_library},
                                  {"by_ours", served.by_ours},
                                  {"library", library_of(served.product.kind)}});
    }
    fmt::print("{}", to_text(json));
    return 0;
  }
  fmt::print("{} training step, batch {}x3x32x32, {}, SGD with momentum, on {}\n", options.model,
             options.batch_size, precision, describe_device(device));
  fmt::print("  median {:.2f} ms of {} steps (min {:.2f}, max {:.2f})\n", median, options.steps,
             times.front(), times.back());
  fmt::print("  {:.0f} samples/s; peak memory {:.0f} MiB, of it tensors {:.0f} MiB\n", rate,
             peak_rss_mib(), live_peak);
  if (options.profile && device != cpu) {
    fmt::print(
        "  time of the host below: what it costs to queue an op, not what the device takes\n");
  }
  for (const profile::Total& total : profile.totals) {
    const double self = static_cast<double>(total.self_ns) / 1e6 / steps;
    fmt::print("  {:>8.3f} ms  {:>5.1f} %  {}\n", self, 100 * self / median, total.name);
  }
  if (!profile.served.empty()) {
    fmt::print("  who served which product (--gpu-libraries {})\n", name_of(gpu_libraries()));
  }
  for (const Served& served : profile.served) {
    fmt::print("  {:<24} {}\n", who_served(served), to_string(served.product));
  }
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& program) {
  CLI::App* bench = program.add_subcommand("bench", "Measure");
  bench->require_subcommand(1);
  CLI::App* step = bench->add_subcommand("step", "Time whole training steps on random images");
  auto options = std::make_shared<BenchOptions>();
  const auto up_to_a_million = whole_number(1, 1 << 20);
  add_model_option(*step, options->model, image_model_names())->required();
  add_number_with_default(*step, "--batch-size", options->batch_size, up_to_a_million);
  add_number_with_default(*step, "--steps", options->steps, up_to_a_million, "Timed steps");
  add_number_with_default(*step, "--warmup", options->warmup, up_to_a_million, "Steps before them");
  step->add_flag("--json", options->json, "Print a JSON object");
  step->add_flag(
      "--profile", options->profile,
      "Add what each op costs the host per step, without what it calls, and which library or "
      "kernel of ours served each product on a GPU");
#ifdef WARPTAPE_SIMT
  step->add_flag("--no-kernels", options->no_kernels,
                 "On the emulated device: queue everything, run no kernel, so that the host's own "
                 "work is left (tools/host_cost.py)");
#endif
  add_precision_option(*step, options->precision);
  add_machine_options(*step, options->machine);
  step->footer("Example:\n  warptape bench step simple_cnn --batch-size 128 --threads 1 --profile");
  step->callback([options] { bench_step(*options); });
  add_bench_kernels_command(*bench);
  add_bench_stream_command(*bench);
}

}  // namespace warptape::tools
