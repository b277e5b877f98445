#pragma once
// What a training step asks of a GPU, launch by launch, made without one.
//
// Launches, their geometry, the plans of products, FLOPs and the bytes of tensors come from a dry
// run at the batch that was asked for: they are exact. Requests to memory are measured by the
// memory profile (preset simt-profile), where kernels really run: at a small batch and at twice
// that. Each launch's are taken to lie on a line through both.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace warptape::tools {

struct StepCase;

// A product of the matrix core, and how its plan spreads it.
struct ProductWork {
  enum class Cores : uint8_t { Float, Double, Tensor, Tf32 };  // as matrix::Cores
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  int64_t groups = 1;
  bool is_pass = false;  // other ops' work is done on its results
  Cores cores = Cores::Float;
  int tile_rows = 0;
  int tile_columns = 0;
  int64_t block_depth = 0;  // that a block sums up: whole steps
  int step_depth = 0;       // of one of these
  int pack = 1;             // elements of a load
  int splits = 1;           // blocks that share a tile
  std::string plan{};       // as text

  // A product and a sum are two. Taps in a convolution's padding count.
  double flops() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(columns) *
           static_cast<double>(depth) * static_cast<double>(groups);
  }
};

// Requests to memory, as emulator/profile counts them.
struct Traffic {
  double read_bytes = 0;  // of device memory, in whole sectors
  double written_bytes = 0;
  double sectors = 0;
  double share_of_16 = 1;  // of what moves, in requests of 16 bytes a lane
  double efficiency = 1;   // distinct bytes of the sectors
  double bank_factor = 1;  // passes over shared memory, over those without conflicts
  double shared_passes = 0;
  bool is_of_another_plan = false;  // the small batches' product is spread in another way
};

struct LaunchCost {
  std::string name;  // "conv2d", "max_pool2d_backward"
  int64_t blocks = 0;
  int threads = 0;            // of a block
  int64_t shared_bytes = 0;   // dynamic, of a block
  int64_t bytes = 0;          // of the tensors that it is given, each once
  int64_t written_bytes = 0;  // of those that it may write
  std::optional<ProductWork> product{};
  std::optional<Traffic> traffic{};

  double flops() const { return product ? product->flops() : 0; }
};

struct CostSheet {
  std::string model;
  std::string precision;
  int64_t batch_size = 0;
  int64_t measured_at = 0;   // batch; 0: nothing was measured
  std::string not_scaled{};  // why nothing was, where a batch was given
  std::vector<LaunchCost> launches;

  int64_t bytes() const {
    int64_t sum = 0;
    for (const LaunchCost& launch : launches) {
      sum += launch.bytes;
    }
    return sum;
  }
  double flops() const {
    double sum = 0;
    for (const LaunchCost& launch : launches) {
      sum += launch.flops();
    }
    return sum;
  }
};

struct CostOptions {
  int64_t batch_size = 0;             // 0: the case's own
  std::string precision = "float32";  // or "bf16"
  int64_t measure_at = 0;  // a small batch; 0: do not. Only where simt::profile::is_built_in.
};

// The second step of a model. ValueError in builds without the emulated device.
CostSheet cost_sheet(const StepCase& step, const CostOptions& options);

// The launches that `work` queues, prepared by the caller on device "cuda". It has to live in a
// DryRun of its own: `prepare` is called within it, and what it returns is then run.
std::vector<LaunchCost> launches_of(const std::function<std::function<void()>()>& prepare);

}  // namespace warptape::tools
