// A report for terminals, and as JSON.

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "core/error.h"
#include "training/json_text.h"
#include "training/profile/shown.h"

namespace warptape::profiling {
namespace {

std::string heading(const char* first) {
  return fmt::format("{:>9} {:>6} {:>7} {:>9} {:>9} {:>8} {:>8} {:>6} {:>6}  {}\n", "ms", "%",
                     "calls", "MB", "MFLOP", "GB/s", "TFLOP/s", "copy%", "fma%", first);
}

std::string row_text(const Captured& captured, const Report& report, const Figures& figures,
                     const std::string& name) {
  const Shown shown(captured.ceilings, figures);
  return fmt::format("{:>9.4f} {:>6.1f} {:>7.4g} {:>9} {:>9} {:>8} {:>8} {:>6} {:>6}  {}\n",
                     figures.ms, 100 * figures.ms / std::max(time_base(report), 1e-12),
                     figures.calls, shown.megabytes, shown.megaflops, shown.gb_per_s,
                     shown.tflop_per_s, shown.of_copy, shown.of_fma, name);
}

std::string memory_text(const Memory& memory, size_t most_rows) {
  std::string text = fmt::format(
      "\nmemory: {:.1f} MB at most, {:.3f} ms after the last step began, in {}; it is held by\n",
      static_cast<double>(memory.peak_bytes) / 1e6, memory.peak_ms,
      place_of(memory.peak_op.empty() ? "no op" : memory.peak_op, memory.peak_layer));
  size_t rows = 0;
  int64_t rest = 0;
  for (const Holder& holder : memory.holders) {
    if (most_rows != 0 && ++rows > most_rows) {
      rest += holder.bytes;
      continue;
    }
    text += fmt::format(
        "{:>9.3f} MB {:>5.1f} % {:>4} block{}  {}\n", static_cast<double>(holder.bytes) / 1e6,
        100.0 * static_cast<double>(holder.bytes) /
            static_cast<double>(std::max<int64_t>(memory.peak_bytes, 1)),
        holder.blocks, holder.blocks == 1 ? " " : "s", place_of(holder.what, holder.layer));
  }
  if (rest > 0) {
    text += fmt::format("{:>9.3f} MB in others (--rows 0 lists all)\n",
                        static_cast<double>(rest) / 1e6);
  }
  return text;
}

nlohmann::ordered_json json_of(const Captured& captured, const Figures& figures) {
  nlohmann::ordered_json json{{"calls", figures.calls}, {"ms", figures.ms}};
  if (figures.work) {
    json["bytes_read"] = figures.work->bytes_read;
    json["bytes_written"] = figures.work->bytes_written;
    json["flops"] = figures.work->flops;
    json["gb_per_s"] = figures.gb_per_s();
    json["tflop_per_s"] = figures.tflop_per_s();
    if (captured.ceilings.copy_gb_per_s > 0) {
      json["share_of_copy"] = figures.gb_per_s() / captured.ceilings.copy_gb_per_s;
    }
    if (captured.ceilings.fma_tflop_per_s > 0) {
      json["share_of_fma"] = figures.tflop_per_s() / captured.ceilings.fma_tflop_per_s;
    }
  }
  return json;
}

}  // namespace

const char* name_of(profile::Phase phase) {
  return phase == profile::Phase::Backward ? "backward" : "forward";
}

std::string place_of(const std::string& what, const std::string& layer) {
  return escaped(layer.empty() ? what : layer + ": " + what);
}

std::string op_name(const std::string& op, profile::Phase phase) {
  return phase == profile::Phase::Backward ? op + " backward" : op;
}

double time_base(const Report& report) {
  double total = 0;
  for (const OpRow& row : report.ops) {
    total += row.figures.ms;
  }
  return total;
}

Shown::Shown(const Ceilings& ceilings, const Figures& figures) {
  if (!figures.work) {
    return;
  }
  const auto share = [](double rate, double most) {
    return most > 0 && rate > 0 ? fmt::format("{:.1f}", 100 * rate / most) : std::string("-");
  };
  if (figures.work->bytes() > 0) {
    megabytes = fmt::format("{:.4g}", static_cast<double>(figures.work->bytes()) / 1e6);
  }
  if (figures.work->flops > 0) {
    megaflops = fmt::format("{:.4g}", static_cast<double>(figures.work->flops) / 1e6);
  }
  if (figures.gb_per_s() > 0) {
    gb_per_s = fmt::format("{:.4g}", figures.gb_per_s());
    of_copy = share(figures.gb_per_s(), ceilings.copy_gb_per_s);
  }
  if (figures.tflop_per_s() > 0) {
    tflop_per_s = fmt::format("{:.4g}", figures.tflop_per_s());
    of_fma = share(figures.tflop_per_s(), ceilings.fma_tflop_per_s);
  }
}

std::string title_of(const Captured& captured) {
  return fmt::format("{}, batch {}, {}, on {}", captured.model, captured.batch_size,
                     captured.precision, captured.machine);
}

std::string summary_of(const Captured& captured, const Report& report) {
  std::string text =
      fmt::format("a training step: {:.3f} ms, median of {}", report.step_ms, captured.steps);
  if (report.plain_ms > 0) {
    text += fmt::format("; {:.3f} ms with nothing recorded ({:+.1f} %)", report.plain_ms,
                        100 * (report.step_ms / report.plain_ms - 1));
  }
  text += "\n";
  if (!captured.source.empty()) {
    text += fmt::format("times of the device: {}\n", captured.source);
    if (captured.times_kernels) {
      text += fmt::format("the device: {:.3f} ms busy, {:.3f} ms idle between kernels of a step\n",
                          report.device_ms, report.idle_ms);
    }
  }
  const Ceilings& ceilings = captured.ceilings;
  if (ceilings.copy_gb_per_s > 0) {
    text += fmt::format(
        "ceilings, measured now: {:.4g} GB/s by a plain copy, {:.4g} TFLOP/s of float32 "
        "multiplications with additions\n",
        ceilings.copy_gb_per_s, ceilings.fma_tflop_per_s);
  }
  return text;
}

std::string as_text(const Captured& captured, const Report& report, size_t most_rows) {
  std::string text = title_of(captured) + "\n" + summary_of(captured, report);
  const auto table = [&](const char* title, const char* first, const auto& rows, const auto& name) {
    text += fmt::format("\n{}\n{}", title, heading(first));
    for (size_t i = 0; i < rows.size(); ++i) {
      if (most_rows != 0 && i >= most_rows) {
        text += fmt::format("{:>9} and {} more (--rows 0 lists all)\n", "", rows.size() - i);
        break;
      }
      text += row_text(captured, report, rows[i].figures, name(rows[i]));
    }
  };
  table("ops, per step, without the ops inside of them", "layer: op", report.ops,
        [](const OpRow& row) { return place_of(op_name(row.op, row.phase), row.layer); });
  if (!report.kernels.empty()) {
    table("kernels, copies and fills, per step", "kernel", report.kernels,
          [](const KernelRow& row) {
            std::string name = escaped(row.kernel);
            if (row.size.blocks > 0) {
              name += fmt::format(" <{} x {}>", row.size.blocks, row.size.threads);
            }
            return name + "  of " + place_of(op_name(row.op, row.phase), row.layer);
          });
  }
  if (!report.gaps.empty()) {
    text += "\nthe longest idle times of the last step\n";
    for (const Gap& gap : report.gaps) {
      text += fmt::format("{:>9.4f} ms between {} and {}\n", gap.ms, escaped(gap.after),
                          escaped(gap.before));
    }
  }
  return text + memory_text(report.memory, most_rows);
}

std::string as_json(const Captured& captured, const Report& report) {
  using nlohmann::ordered_json;
  ordered_json json{{"model", captured.model},
                    {"batch_size", captured.batch_size},
                    {"precision", captured.precision},
                    {"machine", captured.machine},
                    {"steps", captured.steps},
                    {"step_ms", report.step_ms},
                    {"plain_step_ms", report.plain_ms},
                    {"device_times", captured.source},
                    {"emulated", captured.is_emulated},
                    {"device_busy_ms", report.device_ms},
                    {"device_idle_ms", report.idle_ms},
                    {"copy_gb_per_s", captured.ceilings.copy_gb_per_s},
                    {"fma_tflop_per_s", captured.ceilings.fma_tflop_per_s}};
  json["ops"] = ordered_json::array();
  for (const OpRow& row : report.ops) {
    ordered_json each{{"layer", row.layer},
                      {"op", row.op},
                      {"phase", name_of(row.phase)},
                      {"host_ms", row.host_ms}};
    each.update(json_of(captured, row.figures));
    json["ops"].push_back(each);
  }
  json["kernels"] = ordered_json::array();
  for (const KernelRow& row : report.kernels) {
    ordered_json each{{"kernel", row.kernel},
                      {"layer", row.layer},
                      {"op", row.op},
                      {"phase", name_of(row.phase)},
                      {"blocks", row.size.blocks},
                      {"threads", row.size.threads},
                      {"shared_bytes", row.size.shared_bytes}};
    each.update(json_of(captured, row.figures));
    json["kernels"].push_back(each);
  }
  json["gaps"] = ordered_json::array();
  for (const Gap& gap : report.gaps) {
    json["gaps"].push_back({{"ms", gap.ms}, {"after", gap.after}, {"before", gap.before}});
  }
  const Memory& memory = report.memory;
  ordered_json holders = ordered_json::array();
  for (const Holder& holder : memory.holders) {
    holders.push_back({{"layer", holder.layer},
                       {"what", holder.what},
                       {"blocks", holder.blocks},
                       {"bytes", holder.bytes}});
  }
  json["memory"] = {{"peak_bytes", memory.peak_bytes},
                    {"peak_ms", memory.peak_ms},
                    {"peak_op", memory.peak_op},
                    {"peak_layer", memory.peak_layer},
                    {"holders", holders}};
  return json_document(json);
}

}  // namespace warptape::profiling
