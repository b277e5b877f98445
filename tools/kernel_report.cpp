#include "tools/kernel_report.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "tools/occupancy.h"

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

std::string megabytes(uint64_t bytes) {
  return fmt::format("{:.3f}", static_cast<double>(bytes) / 1e6);
}

std::string percent(double fraction) {
  return fmt::format("{:.1f}", 100 * fraction);
}

// "space::kernel<float>" of "void space::kernel<float>(float*)". Parameters are left out because
// tables that nvcc passes by value go by reference here.
std::string name_in(std::string signature) {
  int depth = 0;
  for (size_t i = signature.size(); i-- > 0;) {
    depth += signature[i] == ')' ? 1 : signature[i] == '(' ? -1 : 0;
    if (signature[i] == '(' && depth == 0) {
      signature.resize(i);
      break;
    }
  }
  return signature.starts_with("void ") ? signature.substr(5) : signature;
}

// What ptxas says of the kernel, or null.
ordered_json resources(const KernelProfile& kernel, const ordered_json& ptxas) {
  for (const ordered_json& entry : ptxas) {
    if (name_in(entry.at("kernel")) == name_in(kernel.function)) {
      return entry;
    }
  }
  return nullptr;
}

// Of the kernel's last launch.
Occupancy occupancy_of(const KernelProfile& kernel, const ordered_json& entry) {
  return occupancy(entry.at("registers").get<int>(), static_cast<int>(kernel.threads_per_block),
                   entry.at("static_shared").get<int>() + static_cast<int>(kernel.dynamic_shared));
}

std::string resources_text(const KernelProfile& kernel, const ordered_json& entry) {
  if (entry.is_null()) {
    return "";
  }
  return fmt::format(
      "  {} registers, {} bytes of stack, {} of spills, {} of static and {} of dynamic shared "
      "memory, occupancy {:.0f} %\n",
      entry.at("registers").get<int>(), entry.at("stack").get<int>(),
      entry.at("spill_stores").get<int>() + entry.at("spill_loads").get<int>(),
      entry.at("static_shared").get<int>(), kernel.dynamic_shared,
      100 * occupancy_of(kernel, entry).fraction);
}

ordered_json occupancy_json(const KernelProfile& kernel, const ordered_json& entry) {
  if (entry.is_null()) {
    return nullptr;
  }
  const Occupancy occupancy = occupancy_of(kernel, entry);
  return {{"blocks_per_multiprocessor", occupancy.blocks},
          {"warps_per_multiprocessor", occupancy.warps},
          {"fraction", occupancy.fraction},
          {"limited_by", occupancy.limited_by}};
}

// One line of the table. Fields that do not concern the memory are empty.
std::string columns(const std::array<std::string, 11>& fields) {
  std::string text = fmt::format("  {:<26} {:<6} {:<5}", fields[0], fields[1], fields[2]);
  for (size_t i = 3; i < fields.size(); ++i) {
    text += fmt::format(" {:>8}", fields[i]);
  }
  return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
}

std::string header() {
  return columns({"line", "memory", "access", "requests", "asked MB", "moved MB", "effic. %",
                  "by 16 %", "idle %", "wavefr.", "banks x"});
}

std::string row(const LineProfile& line) {
  const Counts& counts = line.counts;
  std::array<std::string, 11> fields = {place_of(line), name_of(line.space), name_of(line.access),
                                        fmt::format("{}", counts.requests),
                                        megabytes(counts.bytes)};
  if (line.space == Space::Device) {
    fields[5] = megabytes(counts.moved_bytes());
    fields[6] = percent(counts.efficiency());
    fields[7] = percent(counts.share_of_16());
  } else {
    fields[9] = fmt::format("{:.2f}", counts.wavefronts_per_request());
    fields[10] = fmt::format("{:.2f}", counts.bank_factor());
  }
  fields[8] = percent(counts.idle_lanes());
  return columns(fields);
}

ordered_json json_of(const Counts& counts, Space space) {
  ordered_json json{{"requests", counts.requests},
                    {"requested_bytes", counts.bytes},
                    {"idle_lanes", counts.idle_lanes()}};
  if (space == Space::Device) {
    json["moved_bytes"] = counts.moved_bytes();
    json["sectors"] = counts.sectors;
    json["ideal_sectors"] = counts.ideal_sectors;
    json["efficiency"] = counts.efficiency();
    json["share_of_16_bytes"] = counts.share_of_16();
  } else {
    json["wavefronts"] = counts.wavefronts;
    json["ideal_wavefronts"] = counts.ideal_wavefronts;
    json["wavefronts_per_request"] = counts.wavefronts_per_request();
    json["bank_factor"] = counts.bank_factor();
  }
  return json;
}

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
  if (device.moved_bytes() < (1 << 16)) {
    return "";  // too little to matter
  }
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
  for (const std::string& plan : run.plans) {
    text += plan + "\n";
  }
  text += run.plans.empty() ? "" : "\n";
  for (const KernelProfile& kernel : run.kernels) {
    text += fmt::format("{}: {} launch{}, {} block{} of {} threads\n", kernel.name, kernel.launches,
                        kernel.launches == 1 ? "" : "es", kernel.blocks,
                        kernel.blocks == 1 ? "" : "s", kernel.threads_per_block);
    text += resources_text(kernel, resources(kernel, ptxas)) + header();
    for (const LineProfile& line : kernel.lines) {
      text += row(line);
    }
    const Counts device = kernel.total(Space::Device);
    text += fmt::format("  device memory: read {} MB, written {} MB; ideal {} MB\n",
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
  ordered_json json{{"moved_bytes", run.moved_bytes()},
                    {"counted_bytes", run.counted_bytes},
                    {"plans", run.plans}};
  for (const KernelProfile& kernel : run.kernels) {
    const ordered_json used = resources(kernel, ptxas);
    ordered_json entry{{"kernel", kernel.name},
                       {"function", kernel.function},
                       {"launches", kernel.launches},
                       {"blocks", kernel.blocks},
                       {"threads_per_block", kernel.threads_per_block},
                       {"dynamic_shared", kernel.dynamic_shared},
                       {"ptxas", used},
                       {"occupancy", occupancy_json(kernel, used)},
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
