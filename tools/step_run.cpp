#include "tools/step_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/profile.h"
#include "core/random.h"
#include "layers/precision.h"
#include "training/train_step.h"

namespace warptape::tools {
namespace {

// What is made before the first step, under names of their own in a memory profile.
StepParts make_parts(const StepCase& step_case, int64_t batch_size, const std::string& precision,
                     Device device) {
  const profile::Range range("model");
  manual_seed(0);
  StepParts parts = step_case.make(batch_size);
  parts.model->to(device);
  set_precision(*parts.model, precision);
  return parts;
}

// One batch again and again, which lies on the device.
class SameBatch final : public Loader {
 public:
  explicit SameBatch(Batch batch)
      : batch_(std::move(batch)),
        numbers_(Tensor::zeros({batch_.rows()}, int64, batch_.input.device())) {}
  void start(uint64_t, int64_t) override {}
  std::optional<Batch> next_batch() override { return batch_; }
  bool makes_batches_of_numbers() const override { return true; }
  std::optional<Tensor> next_numbers() override { return numbers_; }
  Batch batch_of(const Tensor&) override { return batch_; }
  int64_t batches_per_epoch() const override { return 1; }
  int64_t size() const override { return batch_.rows(); }

 private:
  Batch batch_;
  Tensor numbers_;
};

Batch moved_to(const Batch& batch, Device device) {
  const profile::Range range("batch");
  return {batch.input.to(device), batch.target.to(device)};
}

}  // namespace

StepRun::StepRun(const StepCase& step_case, int64_t batch_size, const std::string& precision,
                 Device device, bool uses_graphs)
    : parts_(make_parts(step_case, batch_size, precision, device)),
      states_(parameters(*parts_.model)),
      optimizer_(parts_.make_optimizer(states_)),
      data_(std::make_unique<SameBatch>(moved_to(parts_.batch, device))),
      losses_(ScalarReader::make(device)) {
  const BatchGraphs::Parts parts{
      .what = "a step", .model = *parts_.model, .states = states_, .optimizer = optimizer_.get()};
  const auto step = [this](const Batch& batch) -> std::vector<Tensor> {
    const QueuedStep queued = train_step(*parts_.model, *optimizer_, states_, batch, parts_.loss);
    return {queued.loss, queued.gradient_norm};
  };
  const auto say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  graphs_ = std::make_unique<BatchGraphs>(parts, step,
                                          GraphOptions{.use = uses_graphs, .on_warning = say});
}

StepRun::~StepRun() = default;

void StepRun::wait_for_all_but(size_t steps) {
  while (losses_->waiting() > steps) {
    losses_->pop();
    ends_.push_back(Clock::now());
  }
}

void StepRun::queue() {
  graphs_->take(*data_);
  losses_->push(graphs_->run());
  wait_for_all_but(losses_->worth_waiting());
}

void StepRun::finish() {
  wait_for_all_but(0);
}

std::vector<double> StepRun::times_ms(int64_t without) const {
  std::vector<double> times;
  for (size_t i = static_cast<size_t>(std::max<int64_t>(without, 1)); i < ends_.size(); ++i) {
    times.push_back(std::chrono::duration<double, std::milli>(ends_[i] - ends_[i - 1]).count());
  }
  return times;
}

}  // namespace warptape::tools
