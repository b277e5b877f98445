#include "tools/cost_sheet.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/random.h"
#include "core/simt/build.h"
#include "layers/precision.h"
#include "tools/bench_cases.h"
#include "training/train_step.h"

#ifdef WARPTAPE_SIMT
#include "core/device/gpu.h"
#include "emulator/device/dry_run.h"
#include "emulator/device/emulated.h"
#include "emulator/profile/profile.h"
#include "kernels/matrix/plan.h"
#include "kernels/matrix/plan_listener.h"
#endif

namespace warptape::tools {

#ifdef WARPTAPE_SIMT

namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;
using simt::profile::Access;
using simt::profile::Counts;
using simt::profile::KernelProfile;
using simt::profile::Space;

// The products that are launched while it lives, and before which launch each was told.
class Products final : public PlanListener {
 public:
  Products() : outer_(std::exchange(current(), this)) {}
  ~Products() { current() = outer_; }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  void add_to(std::vector<LaunchCost>& launches) const {
    for (const auto& [index, work] : told_) {
      launches.at(index).product = work;
    }
  }

 private:
  void hear_product(const matrix::ProductSize& size, const matrix::Plan& plan) override {
    static_assert(static_cast<int>(matrix::Cores::Tf32) ==
                  static_cast<int>(ProductWork::Cores::Tf32));
    ProductWork work{size.rows, size.columns, size.depth, size.groups, size.is_pass};
    work.cores = static_cast<ProductWork::Cores>(plan.cores);
    work.tile_rows = plan.tile.rows;
    work.tile_columns = plan.tile.columns;
    work.block_depth = int64_t{plan.steps} * plan.tile.depth;
    work.step_depth = plan.tile.depth;
    work.pack = plan.pack;
    work.splits = plan.splits;
    work.plan = to_string(plan);
    told_.emplace_back(gpu::launches - first_, work);
  }
  bool hear(const char* name, const std::string& plan) override {
    return outer_ != nullptr && tell_outer(name, plan);
  }
  bool tell_outer(const char* name, const std::string& plan) {
    current() = outer_;
    const bool skip = tell_plan(name, [&] { return plan; });
    current() = this;
    return skip;
  }

  PlanListener* const outer_;
  const uint64_t first_ = gpu::launches;
  std::vector<std::pair<size_t, ProductWork>> told_;
};

std::vector<LaunchCost> noted(DryRun& dry, const std::function<void()>& work) {
  dry.take_launches();
  const Products products;
  work();
  std::vector<LaunchCost> launches;
  for (const DryLaunch& launch : dry.take_launches()) {
    launches.push_back({launch.name, launch.blocks(),
                        static_cast<int>(launch.block.x * launch.block.y * launch.block.z),
                        static_cast<int64_t>(launch.dynamic_shared),
                        static_cast<int64_t>(launch.bytes),
                        static_cast<int64_t>(launch.written_bytes)});
    LaunchCost& last = launches.back();
    if (last.name == "copy") {
      last.bytes = std::min(last.bytes, 2 * last.written_bytes);  // it may read a part of a tensor
    }
  }
  products.add_to(launches);
  return launches;
}

// Calls use(step) with a step to run once, after a first one that made buffers.
template <class Use>
void with_step(const StepCase& step_case, int64_t batch_size, const std::string& precision,
               const Use& use) {
  manual_seed(0);
  StepParts parts = step_case.make(batch_size);
  parts.model->to(cuda);
  set_precision(*parts.model, precision);
  const ParameterStates states = parameters(*parts.model);
  const std::unique_ptr<Optimizer> optimizer = parts.make_optimizer(states);
  const Batch batch{parts.batch.input.to(cuda), parts.batch.target.to(cuda)};
  const std::function<void()> step = [&] {
    train_step(*parts.model, *optimizer, states, batch, parts.loss);
  };
  step();
  use(step);
}

std::vector<LaunchCost> step_launches(const StepCase& step_case, int64_t batch_size,
                                      const std::string& precision) {
  DryRun dry;
  std::vector<LaunchCost> launches;
  with_step(step_case, batch_size, precision,
            [&](const std::function<void()>& step) { launches = noted(dry, step); });
  return launches;
}

#ifdef WARPTAPE_SIMT_PROFILE
std::vector<KernelProfile> profiled(const std::function<void()>& work) {
  gpu::synchronize();
  const gpu::emulated::MemoryRange memory = gpu::emulated::memory_range();
  simt::profile::start({memory.begin, memory.end}, simt::profile::Each::Launch);
  try {
    work();
    gpu::synchronize();
  } catch (...) {
    simt::profile::stop();
    throw;
  }
  return simt::profile::stop();
}
#else
std::vector<KernelProfile> profiled(const std::function<void()>&) {
  return {};  // refused before
}
#endif

// What the launches of a small batch did to memory.
struct Measured {
  std::vector<LaunchCost> launches;
  std::vector<KernelProfile> kernels;
};

Measured measure(const StepCase& step_case, int64_t batch_size, const std::string& precision) {
  Measured measured{step_launches(step_case, batch_size, precision), {}};
  with_step(step_case, batch_size, precision,
            [&](const std::function<void()>& step) { measured.kernels = profiled(step); });
  return measured;
}

// What is measured at a batch and at twice that, on a line through both.
Traffic traffic_of(const KernelProfile& once, const KernelProfile& twice, double batches) {
  const auto along = [&](uint64_t first, uint64_t second) {
    const auto start = static_cast<double>(first);
    return std::max(start + (static_cast<double>(second) - start) * (batches - 1), 0.0);
  };
  const auto read = [](const KernelProfile& kernel) {
    return kernel.total(Space::Device, Access::Read).moved_bytes();
  };
  const Counts device = twice.total(Space::Device);
  const Counts shared = twice.total(Space::Shared);
  Traffic traffic;
  traffic.sectors = along(once.total(Space::Device).sectors, device.sectors);
  traffic.read_bytes = along(read(once), read(twice));
  traffic.written_bytes = simt::profile::sector_bytes * traffic.sectors - traffic.read_bytes;
  traffic.share_of_16 = device.share_of_16();
  traffic.efficiency = device.efficiency();
  traffic.bank_factor = shared.bank_factor();
  traffic.shared_passes = along(once.total(Space::Shared).wavefronts, shared.wavefronts);
  return traffic;
}

bool are_alike(const std::optional<ProductWork>& a, const std::optional<ProductWork>& b) {
  return a.has_value() == b.has_value() &&
         (!a || (a->tile_rows == b->tile_rows && a->tile_columns == b->tile_columns &&
                 a->pack == b->pack && a->splits == b->splits));
}

// The first launch that is not the same kernel's in both, from 1; 0 if there is none.
size_t first_other(const std::vector<LaunchCost>& a, const std::vector<LaunchCost>& b) {
  const auto same = [](const LaunchCost& x, const LaunchCost& y) { return x.name == y.name; };
  const auto found = std::mismatch(a.begin(), a.end(), b.begin(), b.end(), same);
  return found.first == a.end() && found.second == b.end()
             ? 0
             : static_cast<size_t>(found.first - a.begin()) + 1;
}

void add_traffic(const StepCase& step_case, int64_t measure_at, CostSheet& sheet) {
  const Measured once = measure(step_case, measure_at, sheet.precision);
  const Measured twice = measure(step_case, 2 * measure_at, sheet.precision);
  sheet.measured_at = measure_at;
  for (const Measured* measured : {&once, &twice}) {
    const size_t other = first_other(measured->launches, sheet.launches);
    if (other > 0) {
      sheet.not_scaled =
          fmt::format("batch {} launches other kernels than batch {}, from launch {} on",
                      measured == &once ? measure_at : 2 * measure_at, sheet.batch_size, other);
      return;
    }
    check<ValueError>(measured->kernels.size() == sheet.launches.size(),
                      "[cost_sheet] launches: ran {}, noted {}", measured->kernels.size(),
                      sheet.launches.size());
  }
  const double batches = static_cast<double>(sheet.batch_size) / static_cast<double>(measure_at);
  for (size_t i = 0; i < sheet.launches.size(); ++i) {
    LaunchCost& launch = sheet.launches[i];
    check<ValueError>(once.kernels[i].name == launch.name && twice.kernels[i].name == launch.name,
                      "[cost_sheet] launch {}: ran {} and {}, noted {}", i + 1,
                      once.kernels[i].name, twice.kernels[i].name, launch.name);
    launch.traffic = traffic_of(once.kernels[i], twice.kernels[i], batches);
    launch.traffic->is_of_another_plan = !are_alike(launch.product, once.launches[i].product) ||
                                         !are_alike(launch.product, twice.launches[i].product);
  }
}

}  // namespace

std::vector<LaunchCost> launches_of(const std::function<std::function<void()>()>& prepare) {
  DryRun dry;
  const std::function<void()> work = prepare();
  return noted(dry, work);
}

CostSheet cost_sheet(const StepCase& step, const CostOptions& options) {
  CostSheet sheet;
  sheet.model = step.name;
  sheet.precision = options.precision;
  sheet.batch_size = options.batch_size == 0 ? step.batch_size : options.batch_size;
  check<ValueError>(options.measure_at == 0 || simt::profile::is_built_in,
                    "[cost_sheet] measure_at: this build cannot measure what kernels ask of "
                    "memory: cmake --preset simt-profile makes one that can");
  sheet.launches = step_launches(step, sheet.batch_size, sheet.precision);
  if (options.measure_at > 0) {
    add_traffic(step, options.measure_at, sheet);
  }
  return sheet;
}

#else

namespace {

[[noreturn]] void refuse() {
  throw ValueError(
      "[cost_sheet] this build has no emulated device: cmake --preset simt makes one that has it, "
      "simt-profile one that counts requests to memory as well");
}

}  // namespace

std::vector<LaunchCost> launches_of(const std::function<std::function<void()>()>&) {
  refuse();
}
CostSheet cost_sheet(const StepCase&, const CostOptions&) {
  refuse();
}

#endif

}  // namespace warptape::tools
