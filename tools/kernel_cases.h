#pragma once
// The measured cases of all tables, which `warptape kernel` profiles and `warptape bench kernels`
// times: how one is found, sized and profiled.

#include <string>
#include <vector>

#include "emulator/profile/profile.h"
#include "kernels/cases/case.h"

namespace warptape::tools {

// In the order of the tables. There is none where the build has no device cuda.
const std::vector<MeasuredCase>& measured_cases();
const MeasuredCase& find_measured_case(
    const std::string& name);  // ValueError names those there are

// The case's default shape with so many rows that it has `bytes` or more in float32.
Shape shape_of_bytes(const MeasuredCase& measured, int64_t bytes);
// What `warptape bench kernels` times on a GPU: several times what its caches hold.
inline constexpr int64_t bench_bytes = int64_t{256} << 20;

struct KernelRun {
  std::vector<simt::profile::KernelProfile> kernels;
  int64_t counted_bytes = 0;
  int64_t wide_bytes = 0;
  std::vector<std::string> plans{};  // of the kernels that tell
  int64_t moved_bytes() const;       // of device memory, by all kernels
};

// Runs a case once, profiled. Only where simt::profile::is_built_in.
KernelRun profile_case(const MeasuredCase& measured, const Shape& shape, DType dtype);

}  // namespace warptape::tools
