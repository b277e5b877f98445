#include "tools/cost_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace warptape::tools {
namespace {

using nlohmann::ordered_json;

constexpr std::array<const char*, 4> cores_names = {"float", "double", "tensor", "tf32"};

std::string megabytes(double bytes) {
  return fmt::format("{:.2f}", bytes / 1e6);
}

std::string head(bool measured, bool predicted) {
  std::string text = fmt::format("{:>3} {:<24} {:>7} {:>7} {:>7} {:>9} {:>9} {:>8}", "", "launch",
                                 "blocks", "threads", "shared", "MB", "written", "GFLOP");
  if (measured) {
    text += fmt::format(" {:>9} {:>9} {:>10} {:>6} {:>6}", "read", "writes", "sectors", "by 16",
                        "banks");
  }
  if (predicted) {
    text += fmt::format(" {:>8} {:<8}", "us", "bound");
  }
  return text + " plan\n";
}

std::string row(size_t number, const LaunchCost& launch, bool measured, const Prediction* time) {
  std::string text = fmt::format("{:>3} {:<24} {:>7} {:>7} {:>7} {:>9} {:>9} {:>8}", number,
                                 launch.name, launch.blocks, launch.threads, launch.shared_bytes,
                                 megabytes(static_cast<double>(launch.bytes)),
                                 megabytes(static_cast<double>(launch.written_bytes)),
                                 launch.product ? fmt::format("{:.3f}", launch.flops() / 1e9) : "");
  if (measured && launch.traffic) {
    const Traffic& traffic = *launch.traffic;
    text +=
        fmt::format(" {:>9} {:>9} {:>10.0f} {:>4.0f} % {:>5.2f}{}", megabytes(traffic.read_bytes),
                    megabytes(traffic.written_bytes), traffic.sectors, 100 * traffic.share_of_16,
                    traffic.bank_factor, traffic.is_of_another_plan ? "*" : " ");
  } else if (measured) {
    text += std::string(46, ' ');
  }
  if (time != nullptr) {
    text += fmt::format(" {:>8.1f} {:<8}", time->us,
                        std::string(time->bound) + (time->assumed.empty() ? "" : "?"));
  }
  return text + (launch.product ? " " + launch.product->plan : "") + "\n";
}

std::string origin_of(const CostSheet& sheet) {
  std::string text =
      "Launches, plans, FLOPs (of products) and MB of the tensors that a launch is given: exact, "
      "by a dry run at this batch.\n";
  if (sheet.measured_at > 0 && sheet.not_scaled.empty()) {
    text += fmt::format(
        "What kernels ask of memory (read, writes in MB of whole sectors; sectors; by 16; banks): "
        "measured at batches {} and {}; read, writes and sectors on a line through both.\n",
        sheet.measured_at, 2 * sheet.measured_at);
    for (const LaunchCost& launch : sheet.launches) {
      if (launch.traffic && launch.traffic->is_of_another_plan) {
        text +=
            "*: a product that has another tile, other loads or other splits at a measured batch: "
            "its "
            "requests at this one are others.\n";
        break;
      }
    }
  } else if (!sheet.not_scaled.empty()) {
    text += "What kernels ask of memory is not shown: " + sheet.not_scaled + ".\n";
  }
  return text;
}

std::string summary_of(const CostSheet& sheet, const StepPrediction& step,
                       const MachineModel& machine) {
  std::string text = fmt::format(
      "Predicted, not measured: a step of {:.3f} ms; floor of these launches {:.3f} ms (each one's "
      "MB at {:.0f} GB/s or its FLOPs at {:g} TFLOP/s, in bfloat16 {:g}, whichever takes longer)\n",
      step.us / 1e3, step.floor_us / 1e3, machine.copy_gb_per_s, machine.peak_tflop_per_s[0],
      machine.peak_tflop_per_s[2]);
  text += fmt::format(
      "Model of {}: {}; {:.1f} us from launch to launch, as where the host keeps ahead.\n",
      machine.name, machine.origin, machine.launch_us);
  std::vector<std::string> seen;
  for (size_t i = 0; i < sheet.launches.size(); ++i) {
    const std::string& assumed = step.launches[i].assumed;
    if (!assumed.empty() && std::find(seen.begin(), seen.end(), assumed) == seen.end()) {
      seen.push_back(assumed);
      text += fmt::format("?: assumed, as no measured kernel tells: {}\n", assumed);
    }
  }
  return text;
}

}  // namespace

std::string to_text(const CostSheet& sheet, const MachineModel* machine) {
  StepPrediction step;
  if (machine != nullptr) {
    step = predict(sheet, *machine);
  }
  const bool measured = sheet.measured_at > 0 && sheet.not_scaled.empty();
  std::string text = fmt::format("{} training step, batch {}, {}: {} launches\n\n", sheet.model,
                                 sheet.batch_size, sheet.precision, sheet.launches.size());
  text += head(measured, machine != nullptr);
  for (size_t i = 0; i < sheet.launches.size(); ++i) {
    text +=
        row(i + 1, sheet.launches[i], measured, machine == nullptr ? nullptr : &step.launches[i]);
  }
  text += fmt::format("\nall: {} MB, {:.3f} GFLOP\n", megabytes(static_cast<double>(sheet.bytes())),
                      sheet.flops() / 1e9);
  if (machine != nullptr) {
    text += summary_of(sheet, step, *machine);
  }
  return text + origin_of(sheet);
}

ordered_json json_of(const std::vector<LaunchCost>& launches) {
  ordered_json rows = ordered_json::array();
  for (const LaunchCost& launch : launches) {
    ordered_json row{{"name", launch.name},       {"blocks", launch.blocks},
                     {"threads", launch.threads}, {"shared_bytes", launch.shared_bytes},
                     {"bytes", launch.bytes},     {"written_bytes", launch.written_bytes}};
    if (launch.product) {
      const ProductWork& work = *launch.product;
      row.update({{"flops", work.flops()},
                  {"plan", work.plan},
                  {"cores", cores_names.at(static_cast<size_t>(work.cores))},
                  {"size", {work.rows, work.columns, work.depth, work.groups}},
                  {"tile", {work.tile_rows, work.tile_columns}},
                  {"block_depth", work.block_depth},
                  {"pack", work.pack},
                  {"splits", work.splits}});
    }
    if (launch.traffic) {
      const Traffic& traffic = *launch.traffic;
      row["traffic"] = {{"read_bytes", traffic.read_bytes},
                        {"written_bytes", traffic.written_bytes},
                        {"sectors", traffic.sectors},
                        {"share_of_16_bytes", traffic.share_of_16},
                        {"efficiency", traffic.efficiency},
                        {"bank_factor", traffic.bank_factor},
                        {"shared_passes", traffic.shared_passes},
                        {"is_of_another_plan", traffic.is_of_another_plan}};
    }
    rows.push_back(row);
  }
  return rows;
}

ordered_json json_of(const CostSheet& sheet, const MachineModel* machine) {
  ordered_json json{{"model", sheet.model},
                    {"batch_size", sheet.batch_size},
                    {"precision", sheet.precision},
                    {"bytes", sheet.bytes()},
                    {"flops", sheet.flops()},
                    {"measured_at", sheet.measured_at},
                    {"launches", json_of(sheet.launches)}};
  if (!sheet.not_scaled.empty()) {
    json["not_scaled"] = sheet.not_scaled;
  }
  if (machine != nullptr) {
    const StepPrediction step = predict(sheet, *machine);
    json["predicted"] = {{"machine", machine->name},
                         {"origin", machine->origin},
                         {"step_us", step.us},
                         {"floor_us", step.floor_us}};
    for (size_t i = 0; i < step.launches.size(); ++i) {
      const Prediction& time = step.launches[i];
      json["launches"][i]["predicted"] = {{"us", time.us},
                                          {"memory_us", time.memory_us},
                                          {"multiply_us", time.multiply_us},
                                          {"bound", time.bound},
                                          {"assumed", time.assumed}};
    }
  }
  return json;
}

}  // namespace warptape::tools
