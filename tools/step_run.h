#pragma once
// Training steps on a batch of random numbers, as `warptape bench step` and `warptape profile` take
// them: as they follow each other in training, by the training loop's own step. The host queues
// one, then waits for the one before, whose loss and gradient norm it reads.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench_cases.h"
#include "training/batch_graphs.h"
#include "training/scalar_reader.h"

namespace warptape::tools {

class StepRun {
 public:
  // precision: as --precision says. uses_graphs: a step is one graph; what keeps it from being one
  // is said on standard error.
  StepRun(const StepCase& step_case, int64_t batch_size, const std::string& precision,
          Device device, bool uses_graphs = false);
  ~StepRun();

  Module& model() { return *parts_.model; }
  void queue();   // a step
  void finish();  // waits for all
  // Milliseconds from the end of one step to the end of the next, without the first so many; those
  // that have not been waited for are not there.
  std::vector<double> times_ms(int64_t without) const;

 private:
  using Clock = std::chrono::steady_clock;
  void wait_for_all_but(size_t steps);

  StepParts parts_;
  ParameterStates states_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Loader> data_;
  std::unique_ptr<BatchGraphs> graphs_;
  std::unique_ptr<ScalarReader> losses_;
  std::vector<Clock::time_point> ends_;
};

}  // namespace warptape::tools
