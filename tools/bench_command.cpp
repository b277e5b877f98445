// warptape bench, and warptape bench step MODEL

#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include <fmt/format.h>

#include "core/check.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "core/simt/build.h"
#include "kernels/vendor/choice.h"
#include "kernels/vendor/onednn.h"
#include "tools/bench_baseline.h"
#include "tools/commands.h"
#include "tools/numbers.h"
#include "tools/step_run.h"
#include "training/json_text.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/dry_run.h"
#endif

namespace warptape::tools {
namespace {

struct BenchOptions {
  std::string model;
  std::string precision = "float32";
  std::string baseline;    // empty: none
  int64_t batch_size = 0;  // 0: the case's own
  int64_t warmup = 3;
  int64_t steps = 15;
  bool json = false;
  bool profile = false;
  bool no_kernels = false;  // in builds with an emulated device
  std::string graph = "auto";
  MachineOptions machine;
};

struct Profile {
  double cpu_ms = 0;  // of a step, on average
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

rusage used_by_process() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double peak_rss_mib() {
  return static_cast<double>(used_by_process().ru_maxrss) / 1024;
}

// Of all threads, for the program and for the system.
double cpu_ms() {
  const rusage usage = used_by_process();
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

// What --profile tells of ops is of a step that queues them one by one.
bool uses_graphs(const BenchOptions& options, Device device) {
  return wants_graphs(options.graph == "auto" && options.profile ? "off" : options.graph, device);
}

// Milliseconds of each timed step, sorted.
std::vector<double> time_steps(const BenchOptions& options, const StepCase& step_case,
                               int64_t batch_size, Device device, Profile& profile) {
#ifdef WARPTAPE_SIMT
  std::optional<gpu::emulated::DryRun> dry;  // before all tensors: it outlives them
  if (options.no_kernels) {
    dry.emplace();
  }
#endif
  StepRun run(step_case, batch_size, options.precision, device, uses_graphs(options, device));
  double cpu_ms_before = 0;
  for (int64_t step = 0; step < options.warmup + options.steps; ++step) {
    if (step == options.warmup) {
      cpu_ms_before = cpu_ms();
    }
    if (step == options.warmup && options.profile) {
      profile::start();
      start_serving_log();
    }
    run.queue();
  }
  run.finish();
  profile.cpu_ms = (cpu_ms() - cpu_ms_before) / static_cast<double>(options.steps);
  if (options.profile) {
    profile.totals = profile::summarize(profile::stop());
    profile.served = stop_serving_log();
  }
  std::vector<double> times = run.times_ms(options.warmup);
  std::sort(times.begin(), times.end());
  return times;
}

int bench_step(const BenchOptions& options) {
  check<ValueError>(!options.machine.tf32 || options.precision == "float32",
                    "[bench] --tf32: got --precision {}, wanted float32", options.precision);
  const Device device = apply(options.machine);
  Profile profile;
  const StepCase step_case = step_cases().find(options.model);
  const int64_t batch_size = options.batch_size == 0 ? step_case.batch_size : options.batch_size;
  const std::string precision = options.precision != "float32" ? options.precision
                                : device == cpu                ? "float32"
                                                               : product_precision();
  nlohmann::ordered_json json{{"model", options.model},
                              {"batch_size", batch_size},
                              {"precision", precision},
                              {"device", to_string(device)},
                              {"device_name", describe_device(device)},
                              {"threads", num_threads()}};
  nlohmann::ordered_json baseline;
  if (!options.baseline.empty()) {
    baseline = read_baseline(options.baseline, json);  // before the work
  }
  const std::vector<double> times = time_steps(options, step_case, batch_size, device, profile);
  const double median = times[times.size() / 2];
  const double rate = 1000 * static_cast<double>(batch_size) / median;
  const double live_peak = static_cast<double>(memory_stats(device).peak_bytes) / (1 << 20);
  const auto steps = static_cast<double>(options.steps);
  json.update({{"steps", options.steps},
               {"median_ms", median},
               {"min_ms", times.front()},
               {"max_ms", times.back()},
               {"cpu_ms", profile.cpu_ms},
               {"samples_per_second", rate},
               {"peak_rss_mb", peak_rss_mib()},
               {"peak_tensors_mb", live_peak},
               {"onednn", onednn_version()},
               {"instruction_set", onednn_instruction_set()}});
  for (const profile::Total& total : profile.totals) {
    json["profile"][total.name] = {{"calls", total.calls},
                                   {"self_ms", static_cast<double>(total.self_ns) / 1e6 / steps}};
  }
  if (!baseline.is_null()) {
    json["baseline"] = compare_with_baseline(baseline, json);
  }
  if (options.json) {
    if (device != cpu) {
      json["graph"] = uses_graphs(options, device);
      json["gpu_libraries"] = name_of(gpu_libraries());
      json["cublaslt"] = version_of(cublas_library());
      json["cudnn"] = version_of(cudnn_library());
    }
    for (const Served& served : profile.served) {
      json["products"].push_back({{"product", to_string(served.product)},
                                  {"asked_library", served.asked},
                                  {"by_library", served.by_library},
                                  {"by_ours", served.by_ours},
                                  {"library", library_of(served.product.kind)}});
    }
    fmt::print("{}", json_document(json));
    return 0;
  }
  fmt::print("{} training step, batch {}, {}, {}, on {}{}\n", options.model, batch_size,
             step_case.description, precision, describe_device(device),
             uses_graphs(options, device) ? ", as one graph" : "");
  fmt::print("  median {:.2f} ms of {} steps (min {:.2f}, max {:.2f})\n", median, options.steps,
             times.front(), times.back());
  fmt::print("  CPU time {:.2f} ms a step, of all threads\n", profile.cpu_ms);
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
  if (json.contains("baseline")) {
    fmt::print("{}", to_lines(json["baseline"]));
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
  CLI::App* step = bench->add_subcommand("step", "Time whole training steps on random numbers");
  auto options = std::make_shared<BenchOptions>();
  const auto up_to_a_million = whole_number(1, 1 << 20);
  std::vector<std::string> names;
  std::string described = "  Models:\n";
  const Registry<StepCase> cases = step_cases();
  for (const StepCase& known : cases.all()) {
    names.push_back(known.name);
    described +=
        fmt::format("    {:<12} {}; batch {}\n", known.name, known.description, known.batch_size);
  }
  add_model_option(*step, options->model, names)->required();
  add_number(*step, "--batch-size", options->batch_size, up_to_a_million, "Default: the model's");
  add_number_with_default(*step, "--steps", options->steps, up_to_a_million, "Timed steps");
  add_number_with_default(*step, "--warmup", options->warmup, up_to_a_million, "Steps before them");
  step->add_flag("--json", options->json, "Print a JSON object");
  step->add_option("--baseline", options->baseline,
                   "What --json printed in an earlier run of the same case: add ratios to it")
      ->type_name("FILE");
  step->add_flag(
      "--profile", options->profile,
      "Add what each op costs the host per step, without what it calls, and which library or "
      "kernel of ours served each product on a GPU");
#ifdef WARPTAPE_SIMT
  step->add_flag("--no-kernels", options->no_kernels,
                 "On the emulated device: queue everything, run no kernel, so that the host's own "
                 "work is left (tools/host_cost.py)");
#endif
  add_graph_option(*step, options->graph);
  add_precision_option(*step, options->precision, options->machine);
  add_machine_options(*step, options->machine);
  step->footer(described +
               "Example:\n  warptape bench step simple_cnn --batch-size 128 --threads 1 --profile");
  step->callback([options] { bench_step(*options); });
  add_bench_kernels_command(*bench);
  add_bench_stream_command(*bench);
  add_bench_conv1d_command(*bench);
  add_bench_weight_norm_command(*bench);
}

}  // namespace warptape::tools
