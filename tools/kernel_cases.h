#pragma once
// What `warptape kernel NAME` profiles and `warptape bench kernels` times, and the bytes that it
// has to move. Tests hold the kernels to them.

#include <functional>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "emulator/profile/profile.h"

namespace warptape::tools {

// Tensors on device cuda, ready to run.
struct PreparedKernels {
  std::function<void()> run;
  // Bytes of device memory that have to move: what each kernel must read or write, once.
  int64_t counted_bytes;
  // Of those, the ones in tensors of the case's shape, which are long enough for 16-byte accesses.
  int64_t wide_bytes;
  // A kernel that runs besides and is left out of the profile; empty: none. And what it moves,
  // which a clock cannot leave out.
  std::string left_out{};
  int64_t left_out_bytes = 0;
};

struct KernelCase {
  std::string name;
  std::string runs;  // "forward and backward"
  Shape shape;       // the default, 1 MB or more in float32
  std::function<PreparedKernels(const Shape& shape, DType dtype)> prepare;
  // Left out of `bench kernels`, which times products by their FLOPs.
  bool is_product = false;
};

const std::vector<KernelCase>& kernel_cases();

// The case's default shape with so many rows that it has `bytes` or more in float32.
Shape shape_of_bytes(const KernelCase& kernel_case, int64_t bytes);
// What `warptape bench kernels` times on a GPU: several times what its caches hold.
inline constexpr int64_t bench_bytes = int64_t{256} << 20;

const KernelCase& find_kernel_case(const std::string& name);  // ValueError names those there are

struct KernelRun {
  std::vector<simt::profile::KernelProfile> kernels;
  int64_t counted_bytes = 0;
  int64_t wide_bytes = 0;
  std::vector<std::string> plans{};  // of the kernels that tell
  int64_t moved_bytes() const;       // of device memory, by all kernels
};

// Runs a case once, profiled. Only where simt::profile::is_built_in.
KernelRun profile_case(const KernelCase& kernel_case, const Shape& shape, DType dtype);

}  // namespace warptape::tools
