// warptape bench kernels

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/device/gpu.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "tools/commands.h"
#include "tools/kernel_cases.h"
#include "tools/kernel_timer.h"
#include "tools/numbers.h"
#include "tools/plan_notes.h"
#include "tools/product_cases.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

struct BenchKernelsOptions {
  std::string device = "auto";
  std::string only;
  std::string json;
  int repeats = 20;
  bool quick = false;
};

struct Row {
  std::string name;
  std::string shape;
  std::string precision;  // "float32"; of products "tf32" and "bfloat16" too
  std::string by;         // "ours", "cuBLASLt"
  bool is_product = false;
  double work = 0;                   // bytes that have to move, or FLOPs of a product
  std::vector<std::string> plans{};  // of our kernels, where they tell
  KernelTimes times{};

  double rate(const Timing& timing) const {  // GB/s or TFLOP/s
    return work / (timing.median_ms * 1e-3) / (is_product ? 1e12 : 1e9);
  }
};

struct NotRun {
  std::string name;
  std::string reason;
};

struct Report {
  std::vector<Row> rows;
  std::vector<NotRun> not_run;
  double copy_rate = 0;                        // GB/s of a plain copy, cold
  std::map<std::string, double> product_rate;  // TFLOP/s of the best one, by precision, cold

  // Of what the same run measured as the best; 0 where there is nothing to compare with.
  double share(const Row& row) const {
    const double best = row.is_product ? product_rate.at(row.precision) : copy_rate;
    return best > 0 ? row.rate(row.times.cold) / best : 0;
  }
};

// Buffers of a size that a copy, and the flush of the caches, takes no more than it needs.
int64_t buffer_bytes(bool quick) {
  constexpr int64_t least = int64_t{512} << 20;
  if constexpr (has_gpu) {
    return quick ? 1 << 16 : std::max(least, 4 * static_cast<int64_t>(gpu::properties().l2_bytes));
  }
  return 0;
}

// A few rows do for a quick look, and the default shape for an emulation, whose times mean nothing.
Shape bench_shape(const MeasuredCase& measured, bool quick) {
  if (quick) {
    Shape shape = measured.shape;
    shape[0] = std::max<int64_t>(1, shape[0] / 128);
    return shape;
  }
  if constexpr (has_gpu) {
    if (!gpu::is_emulated()) {
      return shape_of_bytes(measured, bench_bytes);
    }
  }
  return measured.shape;
}

// The plans of what `run` queues, without running them.
std::vector<std::string> plans_of(const std::function<void()>& run) {
  const PlanNotes notes(PlanNotes::Launches::Skip);
  run();
  return notes.plans();
}

bool is_wanted(const std::string& name, const BenchKernelsOptions& options) {
  return name.find(options.only) != std::string::npos;
}

void time_copy(Report& report, KernelTimer& timer, int64_t bytes) {
  if constexpr (has_gpu) {
    const Tensor from = Tensor::zeros({bytes}, uint8, cuda);
    Tensor to = Tensor::zeros({bytes}, uint8, cuda);
    Row row{.name = "plain copy",
            .shape = fmt::format("({})", bytes),
            .precision = "bytes",
            .by = "runtime",
            .work = 2.0 * static_cast<double>(bytes)};
    row.times = timer.time([&] {
      gpu::copy(to.mutable_data<uint8_t>(), from.data<uint8_t>(), static_cast<size_t>(bytes),
                gpu::current_stream());
    });
    report.copy_rate = row.rate(row.times.cold);
    report.rows.push_back(row);
  }
}

void time_ops(Report& report, KernelTimer& timer, const BenchKernelsOptions& options) {
  for (const MeasuredCase& measured : measured_cases()) {
    if (measured.is_product || !is_wanted(measured.name, options)) {
      continue;
    }
    const Shape shape = bench_shape(measured, options.quick);
    const PreparedKernels prepared = measured.prepare(shape, float32);
    Row row{.name = measured.name,
            .shape = fmt::format("{}", shape),
            .precision = "float32",
            .by = "ours",
            .work = static_cast<double>(prepared.counted_bytes + prepared.left_out_bytes)};
    const GpuLibraries before = gpu_libraries();
    set_gpu_libraries(GpuLibraries::Off);
    row.times = timer.time(prepared.run);
    row.plans = plans_of(prepared.run);
    set_gpu_libraries(before);
    report.rows.push_back(row);
  }
}

Row row_of(const ProductCase& product, const std::string& by, const std::string& precision) {
  return {.name = product.name,
          .shape = product.sizes,
          .precision = precision,
          .by = by,
          .is_product = true,
          .work = product.flops};
}

const GpuLibrary& library_of(const ProductCase& product) {
  return product.library == "cuDNN" ? cudnn_library() : cublas_library();
}

std::vector<std::string> precisions_of(const ProductCase& product) {
  std::vector<std::string> precisions{product.precision};
  if (product.precision == "float32") {
    precisions.push_back("tf32");
  }
  return precisions;
}

void time_library(Report& report, KernelTimer& timer, const ProductCase& product,
                  const PreparedProduct& prepared) {
  for (const std::string& precision : precisions_of(product)) {
    const std::string name =
        fmt::format("{} by {} in {}", product.name, product.library, precision);
    set_tf32(precision == "tf32");
    if (prepared.library()) {
      Row row = row_of(product, product.library, precision);
      row.times = timer.time([&] { prepared.library(); });
      report.rows.push_back(row);
    } else {
      report.not_run.push_back({name, "it has no plan for these sizes within our limits"});
    }
    set_tf32(false);
  }
}

void time_products(Report& report, KernelTimer& timer, const BenchKernelsOptions& options) {
  if constexpr (has_gpu) {
    for (const ProductCase& product : product_cases(options.quick)) {
      if (!is_wanted(product.name, options)) {
        continue;
      }
      const PreparedProduct prepared = product.prepare();
      set_gpu_libraries(GpuLibraries::Off);
      for (const std::string& precision : precisions_of(product)) {
        set_tf32(precision == "tf32");
        Row row = row_of(product, "ours", precision);
        row.times = timer.time(prepared.ours);
        row.plans = plans_of(prepared.ours);
        report.rows.push_back(row);
      }
      set_tf32(false);
      set_gpu_libraries(GpuLibraries::On);
      if (!product.library.empty() && library_of(product).reason.empty()) {
        time_library(report, timer, product, prepared);
      }
    }
    if (!cublas_library().reason.empty()) {
      report.not_run.push_back({"cuBLASLt", cublas_library().reason});
    }
    if (!cudnn_library().reason.empty()) {
      report.not_run.push_back({"cuDNN", cudnn_library().reason});
    }
    for (const Row& row : report.rows) {
      if (row.is_product) {
        double& best = report.product_rate[row.precision];
        best = std::max(best, row.rate(row.times.cold));
      }
    }
  }
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  return text;
}

nlohmann::ordered_json to_json(const Timing& timing, const Row& row) {
  return {{"median_ms", timing.median_ms},
          {"min_ms", timing.min_ms},
          {"max_ms", timing.max_ms},
          {row.is_product ? "tflop_per_s" : "gb_per_s", row.rate(timing)}};
}

nlohmann::ordered_json to_json(const Report& report, const gpu::Properties& device, bool emulated) {
  nlohmann::ordered_json json{{"warptape", version()},
                              {"date", today()},
                              {"device", device.name},
                              {"emulated", emulated},
                              {"compute_capability", device.compute_capability},
                              {"versions", device.versions},
                              {"cublaslt", version_of(cublas_library())},
                              {"cudnn", version_of(cudnn_library())},
                              {"copy_gb_per_s", report.copy_rate},
                              {"best_product_tflop_per_s", report.product_rate}};
  for (const Row& row : report.rows) {
    json["results"].push_back(
        {{"name", row.name},
         {"shape", row.shape},
         {"precision", row.precision},
         {"by", row.by},
         {"plans", row.plans},
         {row.is_product ? "flops" : "bytes", row.work},
         {"cold", to_json(row.times.cold, row)},
         {"hot", to_json(row.times.hot, row)},
         {row.is_product ? "share_of_best_product" : "share_of_copy", report.share(row)}});
  }
  for (const NotRun& item : report.not_run) {
    json["not_run"].push_back({{"name", item.name}, {"reason", item.reason}});
  }
  return json;
}

void print(const Report& report, const gpu::Properties& device, bool emulated) {
  constexpr const char* warning =
      "EMULATED on the host: these figures say nothing about any GPU, only that the benchmark runs";
  if (emulated) {
    fmt::print("{}\n", warning);
  }
  fmt::print("{}, {}; cuBLASLt {}, cuDNN {}; warptape {}; {}\n\n", device.name, device.versions,
             version_of(cublas_library()), version_of(cudnn_library()), version(), today());
  fmt::print("{:<20} {:<24} {:<9} {:<9} {:>10} {:>10} {:>16} {:>7}\n", "kernels of", "shape",
             "precision", "by", "cold, ms", "hot, ms", "rate, cold", "of best");
  for (const Row& row : report.rows) {
    fmt::print(
        "{:<20} {:<24} {:<9} {:<9} {:>10.4f} {:>10.4f} {:>16} {:>5.0f} %\n", row.name, row.shape,
        row.precision, row.by, row.times.cold.median_ms, row.times.hot.median_ms,
        fmt::format("{:.4g} {}", row.rate(row.times.cold), row.is_product ? "TFLOP/s" : "GB/s"),
        100 * report.share(row));
    for (const std::string& plan : row.plans) {
      fmt::print("  {}\n", plan);
    }
  }
  for (const NotRun& item : report.not_run) {
    fmt::print("not run: {}: {}\n", item.name, item.reason);
  }
  if (emulated) {
    fmt::print("{}\n", warning);
  }
}

void bench_kernels(const BenchKernelsOptions& options) {
  const Device device = apply({.device = options.device});
  check<DeviceError>(device != cpu,
                     "[bench kernels] device: got cpu, wanted a GPU (--device cuda takes the "
                     "emulated one too)");
  if constexpr (has_gpu) {
    const int repeats = options.quick ? 1 : options.repeats;
    const int64_t bytes = buffer_bytes(options.quick);
    KernelTimer timer(repeats, bytes);
    Report report;
    time_copy(report, timer, bytes);
    time_ops(report, timer, options);
    time_products(report, timer, options);
    check<ValueError>(report.rows.size() > 1,
                      "[bench kernels] --only: got \"{}\", which is in no "
                      "name of a row",
                      escaped(options.only));
    const gpu::Properties properties = gpu::properties();
    print(report, properties, gpu::is_emulated());
    if (!options.json.empty()) {
      std::ofstream file(options.json);
      file << json_document(to_json(report, properties, gpu::is_emulated()));
      file.close();
      check<FileError>(file.good(), "{}: cannot be written", escaped(options.json));
    }
  }
}

constexpr const char* footer =
    "A row is what one op queues, forward and backward where it has one, by the device's clock:\n"
    "cold, with caches flushed before, and hot, right after the same work; medians. Its rate is\n"
    "what has to move, counted (warptape kernel), or a product's FLOPs, over the cold time;\n"
    "\"of best\" compares with a plain copy, or the best product of the same precision, of this "
    "run.\n"
    "Below a row of our products stand the plans by which they were spread over the GPU.\n"
    "Example:\n"
    "  warptape bench kernels --json kernels.json";

}  // namespace

void add_bench_kernels_command(CLI::App& bench) {
  CLI::App* command =
      bench.add_subcommand("kernels", "Time the GPU's kernels, ours and libraries'");
  auto options = std::make_shared<BenchKernelsOptions>();
  command->add_option("--device", options->device, "cuda, or auto: a GPU, but not the emulated one")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cuda"}));
  command->add_option("--only", options->only, "Rows whose name has this in it")
      ->check(not_empty());
  CLI::Option* repeats = add_number_with_default(*command, "--repeats", options->repeats,
                                                 whole_number(1, 10000), "Timed runs per figure");
  command->add_option("--json", options->json, "Write a JSON object to FILE")
      ->type_name("FILE")
      ->check(not_empty());
  command->add_flag("--quick", options->quick, "Small shapes, once: to see that it runs")
      ->excludes(repeats);
  command->footer(footer);
  command->callback([options] { bench_kernels(*options); });
}

}  // namespace warptape::tools
