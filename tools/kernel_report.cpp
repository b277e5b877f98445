#include "tools/kernel_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace warptape::tools {
namespace {

using nlohmann::ordered_json;
using simt::profile::Access;
using simt::profile::Counts;
using simt::profile::KernelProfile;
using simt::profile::LineProfile;
using simt::profile::Space;

const char* name_of(Space space) {
  return space == Space::Device ? "device" : "shared";
}
const char* name_of(Access access) {
  return access == Access::Read ? "read" : access == Access::Write ? "write" : "atomic";
}

std::string place_of(const LineProfile& line) {
  const std::string file = std::filesystem::path(line.file).filename().string();
  return line.line == 0 ? file : fmt::format("{}:{}", file, line.line);
}

double megabytes(uint64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

// What ptxas says of the kernel, or null.
ordered_json resources(const KernelProfile& kernel, const ordered_json& ptxas) {
  for (const ordered_json& entry : ptxas) {
    const auto& functions = kernel.functions;
    if (std::find(functions.begin(), functions.end(), entry.at("kernel")) != functions.end()) {
      return entry;
    }
  }
  return nullptr;
}

std::string resources_text(const ordered_json& entry) {
  if (entry.is_null()) {
    return "";
  }
  std::string text =
      fmt::format("  {} registers, {} bytes of stack, {} of spills, {} of static shared memory",
                  entry.at("registers").get<int>(), entry.at("stack").get<int>(),
                  entry.at("spill_stores").get<int>() + entry.at("spill_loads").get<int>(),
                  entry.at("static_shared").get<int>());
  if (entry.contains("occupancy")) {
    text += fmt::format(", occupancy {:.0f} %", 100 * entry.at("occupancy").get<double>());
  }
  return text + "\n";
}

std::string row(const LineProfile& line) {
  const Counts& counts = line.counts;
  std::string text =
      fmt::format("  {:<30} {:<6} {:<6} {:>9} {:>9.3f} ", place_of(line), name_of(line.space),
                  name_of(line.access), counts.requests, megabytes(counts.bytes));
  text += line.space == Space::Device
              ? fmt::format("{:>9.3f} {:>7.1f} ", megabytes(counts.moved_bytes()),
                            100 * counts.efficiency())
              : fmt::format("{:>9} {:>7} ", "", "");
  text += fmt::format("{:>7.1f} {:>7.1f} ", 100 * counts.share_of_16(), 100 * counts.idle_lanes());
  text +=
      line.space == Space::Shared
          ? fmt::format("{:>7.2f} {:>7.2f}", counts.wavefronts_per_request(), counts.bank_factor())
          : "";
  return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
}

ordered_json json_of(const Counts& counts, Space space) {
  ordered_json json{{"requests", counts.requests},
                    {"requested_bytes", counts.bytes},
                    {"share_of_16_bytes", counts.share_of_16()},
                    {"idle_lanes", counts.idle_lanes()}};
  if (space == Space::Device) {
    json["moved_bytes"] = counts.moved_bytes();
    json["sectors"] = counts.sectors;
    json["ideal_sectors"] = counts.ideal_sectors;
    json["efficiency"] = counts.efficiency();
  } else {
    json["wavefronts"] = counts.wavefronts;
    json["ideal_wavefronts"] = counts.ideal_wavefronts;
    json["wavefronts_per_request"] = counts.wavefronts_per_request();
    json["bank_factor"] = counts.bank_factor();
  }
  return json;
}

constexpr const char* header =
    "  line                           memory access  requests  asked MB  moved MB  effic. by 16 B"
    "   idle wavefr.   banks\n"
    "                                                                                  %      % "
    "     %    /req.  factor\n";

}  // namespace

ordered_json read_ptxas_reports(const std::string& folder) {
  ordered_json reports = ordered_json::array();
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() == ".json") {
      std::ifstream file(entry.path());
      const ordered_json report = ordered_json::parse(file, nullptr, false);
      check<FileError>(report.is_array(), "{}: not a report of tools/ptxas_report.py",
                       entry.path().string());
      reports.insert(reports.end(), report.begin(), report.end());
    }
  }
  return reports;
}

std::string hint(const KernelProfile& kernel) {
  const LineProfile* worst = nullptr;
  uint64_t most = 0;
  for (const LineProfile& line : kernel.lines) {
    const Counts& counts = line.counts;
    const uint64_t wasted = line.space == Space::Device
                                ? counts.sectors - counts.ideal_sectors
                                : counts.wavefronts - counts.ideal_wavefronts;
    // What lies within rounding of a request's ends is no finding.
    const bool stands_out =
        line.space == Space::Device ? counts.efficiency() < 0.9 : counts.bank_factor() > 1.05;
    if (stands_out && wasted > most) {
      worst = &line;
      most = wasted;
    }
  }
  if (worst != nullptr && worst->space == Space::Device) {
    return fmt::format("{}: {:.0f} % efficiency, neighbouring lanes are {} bytes apart",
                       place_of(*worst), 100 * worst->counts.efficiency(), worst->stride);
  }
  if (worst != nullptr) {
    return fmt::format(
        "{}: {:.1f} times the wavefronts, neighbouring lanes are {} bytes apart in shared memory "
        "(a padded pitch spreads them over the banks)",
        place_of(*worst), worst->counts.bank_factor(), worst->stride);
  }
  const Counts device = kernel.total(Space::Device);
  if (device.idle_lanes() > 0.5) {
    return fmt::format("{:.0f} % of the lanes idle in accesses to device memory",
                       100 * device.idle_lanes());
  }
  if (device.share_of_16() < 0.5) {
    return "accesses of less than 16 bytes a lane: simt::load16 and store16 need fewer requests";
  }
  return "";
}

std::string to_text(const KernelRun& run, const ordered_json& ptxas) {
  std::string text;
  for (const KernelProfile& kernel : run.kernels) {
    text += fmt::format("{}: {} launch{}, {} block{} of {} threads\n", kernel.name, kernel.launches,
                        kernel.launches == 1 ? "" : "es", kernel.blocks,
                        kernel.blocks == 1 ? "" : "s", kernel.threads_per_block);
    text += resources_text(resources(kernel, ptxas)) + header;
    for (const LineProfile& line : kernel.lines) {
      text += row(line);
    }
    const Counts device = kernel.total(Space::Device);
    text += fmt::format("  device memory: read {:.3f} MB, written {:.3f} MB; ideal {:.3f} MB\n",
                        megabytes(kernel.total(Space::Device, Access::Read).moved_bytes()),
                        megabytes(kernel.total(Space::Device, Access::Write).moved_bytes()),
                        megabytes(device.ideal_sectors * simt::profile::sector_bytes));
    const std::string look = hint(kernel);
    text += look.empty() ? "\n" : fmt::format("  look at {}\n\n", look);
  }
  const auto moved = static_cast<double>(run.moved_bytes());
  const auto counted = static_cast<double>(run.counted_bytes);
  text += fmt::format(
      "all kernels: moved {:.3f} MB of device memory, {:.3f} times the counted {:.3f} MB\n",
      moved / 1e6, moved / counted, counted / 1e6);
  return text;
}

ordered_json to_json(const KernelRun& run, const ordered_json& ptxas) {
  ordered_json json{{"moved_bytes", run.moved_bytes()}, {"counted_bytes", run.counted_bytes}};
  for (const KernelProfile& kernel : run.kernels) {
    ordered_json entry{{"kernel", kernel.name},
                       {"functions", kernel.functions},
                       {"launches", kernel.launches},
                       {"blocks", kernel.blocks},
                       {"threads_per_block", kernel.threads_per_block},
                       {"ptxas", resources(kernel, ptxas)},
                       {"device", json_of(kernel.total(Space::Device), Space::Device)},
                       {"shared", json_of(kernel.total(Space::Shared), Space::Shared)},
                       {"hint", hint(kernel)}};
    for (const LineProfile& line : kernel.lines) {
      ordered_json row{{"file", line.file},
                       {"line", line.line},
                       {"memory", name_of(line.space)},
                       {"access", name_of(line.access)},
                       {"lane_stride_bytes", line.stride}};
      row.update(json_of(line.counts, line.space));
      entry["lines"].push_back(row);
    }
    json["kernels"].push_back(entry);
  }
  return json;
}

}  // namespace warptape::tools
