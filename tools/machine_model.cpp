#include "tools/machine_model.h"

#include <algorithm>

#include "core/check.h"

namespace warptape::tools {
namespace {

double ceil_div(int64_t n, int64_t parts) {
  return static_cast<double>((n + parts - 1) / parts);
}

// Microseconds that device memory takes for so many bytes.
double memory_us(const LaunchCost& launch, const MachineModel& machine) {
  const double threads = static_cast<double>(std::min(
      launch.blocks * launch.threads, int64_t{machine.multiprocessors} * machine.resident_threads));
  const double us_per_gb =
      1e6 / machine.memory_gb_per_s + 1e6 / (threads * machine.thread_gb_per_s);
  auto bytes = static_cast<double>(launch.bytes);
  if (launch.traffic) {  // of a part of its tensors
    bytes = std::min(bytes, launch.traffic->read_bytes + launch.traffic->written_bytes);
  }
  return 1e-9 * bytes * us_per_gb;
}

struct Variant {
  CoreRates rates;
  std::string assumed{};

  void assume(const char* what) { assumed += (assumed.empty() ? "" : "; ") + std::string(what); }
};

// What is known of kernels like this one, or assumed where none was measured.
Variant variant_of(const LaunchCost& launch, const MachineModel& machine) {
  using Cores = ProductWork::Cores;
  const ProductWork& work = *launch.product;
  constexpr int fitted_step = 8;               // of the ordinary cores' measured kernels
  constexpr int64_t fitted_results = 64 * 32;  // of a warp of the tensor cores'
  const bool is_mma = work.cores == Cores::Tensor || work.cores == Cores::Tf32;
  Variant variant{machine.cores[is_mma ? 2 : static_cast<size_t>(work.cores)]};
  CoreRates& rates = variant.rates;
  if (work.cores == Cores::Double) {
    variant.assume("float64 takes twice as long as float32");
  }
  if (work.cores == Cores::Float && work.step_depth > fitted_step) {
    rates.multiply_ns = machine.ffma_ns / machine.ffma_share;
    rates.load_ns = work.pack > 1 ? 0 : rates.load_ns;
    variant.assume(
        "float32 in steps of 16 and more, copied past registers: loads are hidden, and "
        "FFMA has 0.88 of the issue slots");
  }
  if (work.cores == Cores::Tf32) {
    rates.multiply_ns *= machine.tf32_factor;
    variant.assume("TF32 multiplies at half the rate of bfloat16, and loads as it, by packs of 4");
  }
  const int64_t results = int64_t{work.tile_rows} * work.tile_columns * 32 / launch.threads;
  if (is_mma && results > fitted_results) {
    rates.load_ns *= machine.staged_loads;
    variant.assume(
        "warps of 64x64 read 2/3 of the fragments that warps of 64x32 do, and four "
        "fifths of the loads are hidden under the products");
  }
  if (is_mma && work.pack == 1) {
    variant.assume("a single load on tensor cores takes as long as a pack");
  }
  if (is_mma && launch.blocks <= machine.multiprocessors) {
    variant.assume(
        "a block of the tensor cores that is alone takes twice as long as one of two, as "
        "on the ordinary ones");
  }
  if (work.splits > 1) {
    variant.assume("blocks that share a tile add up in the time that a launch of its own took");
  }
  if (work.is_pass) {
    variant.assume("what is done to results on the way out costs its bytes alone");
  }
  return variant;
}

// Microseconds of the busiest multiprocessor.
double product_us(const LaunchCost& launch, const CoreRates& rates, const MachineModel& machine) {
  const ProductWork& work = *launch.product;
  const auto depth = static_cast<double>(work.block_depth);
  const double results = 1e-3 * work.tile_rows * work.tile_columns;
  const double loads = 1e-3 * (work.tile_rows + work.tile_columns) * depth / work.pack;
  const double block_ns =
      rates.multiply_ns * results * depth + rates.load_ns * loads + rates.result_ns * results;
  const double blocks = ceil_div(launch.blocks, machine.multiprocessors);
  return 1e-3 * blocks * block_ns * (blocks == 1 ? rates.alone : 1);
}

// Where blocks share a tile within the launch, they write their sums, and some read them again.
double split_us(const LaunchCost& launch, const MachineModel& machine) {
  const ProductWork& work = *launch.product;
  if (work.splits == 1) {
    return 0;
  }
  const double sums = static_cast<double>(launch.blocks) * work.tile_rows * work.tile_columns;
  return machine.floor_us + 8 * sums * 1e-3 / machine.memory_gb_per_s;
}

}  // namespace

Prediction predict(const LaunchCost& launch, const MachineModel& machine) {
  Prediction result;
  result.memory_us = memory_us(launch, machine);
  double floor = machine.floor_us;
  double rest = 0;
  if (launch.product) {
    Variant variant = variant_of(launch, machine);
    floor = variant.rates.floor_us;
    result.multiply_us = product_us(launch, variant.rates, machine);
    rest = split_us(launch, machine);
    result.assumed = std::move(variant.assumed);
  }
  result.us = floor + std::max(result.memory_us, result.multiply_us) + rest;
  result.bound = floor > std::max(result.memory_us, result.multiply_us) ? "launch"
                 : result.memory_us > result.multiply_us                ? "memory"
                                                                        : "products";
  return result;
}

StepPrediction predict(const CostSheet& sheet, const MachineModel& machine) {
  StepPrediction step;
  for (const LaunchCost& launch : sheet.launches) {
    step.launches.push_back(predict(launch, machine));
    step.us += step.launches.back().us + machine.launch_us;
    double flops_us = 0;
    if (launch.product) {
      const auto cores = static_cast<size_t>(launch.product->cores);
      flops_us = 1e-6 * launch.flops() / machine.peak_tflop_per_s[cores];
    }
    step.floor_us +=
        std::max(1e-3 * static_cast<double>(launch.bytes) / machine.copy_gb_per_s, flops_us);
  }
  return step;
}

const MachineModel& machine_model(const std::string& name) {
  check<ValueError>(name == h200().name, "[predict] machine: got \"{}\", wanted {}", escaped(name),
                    h200().name);
  return h200();
}

}  // namespace warptape::tools
