#include "tools/kernel_cases.h"

#include <algorithm>

#include "core/check.h"
#include "emulator/device/emulated.h"
#include "kernels/cases/case_tables.h"
#include "tools/plan_notes.h"

namespace warptape::tools {

const std::vector<MeasuredCase>& measured_cases() {
  static const std::vector<MeasuredCase> cases = [] {
    std::vector<MeasuredCase> all;
    for (const CaseTable& table : case_tables()) {
      all.insert(all.end(), table.measured.begin(), table.measured.end());
    }
    return all;
  }();
  return cases;
}

const MeasuredCase& find_measured_case(const std::string& name) {
  std::string names;
  for (const MeasuredCase& measured : measured_cases()) {
    if (measured.name == name) {
      return measured;
    }
    names += (names.empty() ? "" : ", ") + measured.name;
  }
  throw ValueError(
      fmt::format("[kernel] name: got \"{}\", wanted one of {}", escaped(name), names));
}

Shape shape_of_bytes(const MeasuredCase& measured, int64_t bytes) {
  Shape shape = measured.shape;
  const int64_t row = shape.numel() / shape[0] * size_of(float32);
  shape[0] = std::max(shape[0], (bytes + row - 1) / row);
  return shape;
}

int64_t KernelRun::moved_bytes() const {
  uint64_t bytes = 0;
  for (const auto& kernel : kernels) {
    bytes += kernel.total(simt::profile::Space::Device).moved_bytes();
  }
  return static_cast<int64_t>(bytes);
}

KernelRun profile_case([[maybe_unused]] const MeasuredCase& measured,
                       [[maybe_unused]] const Shape& shape, [[maybe_unused]] DType dtype) {
  KernelRun result;
  if constexpr (simt::profile::is_built_in) {
    const PreparedKernels prepared = measured.prepare(shape, dtype);
    gpu::synchronize();
    const gpu::emulated::MemoryRange memory = gpu::emulated::memory_range();
    const PlanNotes notes;
    simt::profile::start({memory.begin, memory.end});
    try {
      prepared.run();
      gpu::synchronize();
    } catch (...) {
      simt::profile::stop();
      throw;
    }
    result = {simt::profile::stop(), prepared.counted_bytes, prepared.wide_bytes, notes.plans()};
    std::erase_if(result.kernels,
                  [&](const auto& kernel) { return kernel.name == prepared.left_out; });
  }
  return result;
}

}  // namespace warptape::tools
