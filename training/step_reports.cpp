#include "training/step_reports.h"

#include <cmath>
#include <utility>

#include "core/check.h"
#include "training/plain_nan.h"

namespace warptape {

void StepReports::add(const StepMetrics& metrics, int64_t rows, const QueuedStep& step) {
  steps_.push_back({metrics, rows});
  reader_->push({step.loss, step.gradient_norm});
  while (reader_->waiting() > reader_->worth_waiting()) {
    report_oldest();
  }
}

double StepReports::finish() {
  while (reader_->waiting() > 0) {
    report_oldest();
  }
  return loss_sum_;
}

double StepReports::take() {
  finish();
  return std::exchange(loss_sum_, 0);
}

void StepReports::report_oldest() {
  Waiting step = steps_.front();
  steps_.pop_front();
  const std::vector<double> values = reader_->pop();
  step.metrics.loss = plain_nan(values[0]);
  step.metrics.gradient_norm = plain_nan(values[1]);
  callbacks_.on_step(step.metrics);
  check<Diverged>(std::isfinite(step.metrics.loss),
                  "[train] step {}: the loss is {}; try a lower learning rate than {}, or clipping",
                  step.metrics.step, step.metrics.loss, step.metrics.learning_rate);
  loss_sum_ += step.metrics.loss * static_cast<double>(step.rows);
}

}  // namespace warptape
