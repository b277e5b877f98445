#include "tools/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace warptape::tools {
namespace {

constexpr size_t bar_width = 30;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

std::string table_head(bool with_validation) {
  return fmt::format("{:>9}  {:>10}  {:>9}  {:>13}{}  {:>8}  {:>8}", "epoch", "train_loss",
                     "test_loss", "test_accuracy",
                     with_validation ? "  validation_loss  validation_accuracy" : "", "seconds",
                     "images/s");
}

}  // namespace

Progress::Progress(int64_t epochs, int64_t steps_per_epoch, bool with_validation)
    : epochs_(epochs), steps_per_epoch_(steps_per_epoch), terminal_(standard_output()) {
  const std::string head = table_head(with_validation);
  const size_t width = head.size() + std::string("  best").size();
  has_bar_ = terminal_.can_rewrite && terminal_.columns > width;
  is_table_ = has_bar_ || !terminal_.is_there;
  if (is_table_) {
    print(head + "\n");
  }
}

void Progress::on_step(const StepMetrics& step) {
  if (!has_bar_) {
    return;
  }
  const int64_t in_epoch = (step.step - 1) % steps_per_epoch_ + 1;
  const std::string before = fmt::format("{:>9}  [", fmt::format("{}/{}", step.epoch, epochs_));
  const std::string after =
      fmt::format("] {}/{}  loss {:.4f}", in_epoch, steps_per_epoch_, step.loss);
  // A line that reached the last column would wrap, and could not be written over.
  const size_t others = before.size() + after.size() + 1;
  const size_t width =
      terminal_.columns > others ? std::min(bar_width, terminal_.columns - others) : 0;
  const size_t filled =
      static_cast<size_t>(static_cast<double>(width) * static_cast<double>(in_epoch) /
                          static_cast<double>(steps_per_epoch_));
  print("\r" + before + std::string(filled, '=') + std::string(width - filled, ' ') + after +
        "\033[K");
}

std::string Progress::table_row(const EpochMetrics& epoch, bool is_best) const {
  std::string line = fmt::format("{:>9}  {:>10.4f}  {:>9.4f}  {:>13.4f}",
                                 fmt::format("{}/{}", epoch.epoch, epochs_), epoch.train_loss,
                                 epoch.test.loss, epoch.test.accuracy);
  if (epoch.validation) {
    line +=
        fmt::format("  {:>15.4f}  {:>19.4f}", epoch.validation->loss, epoch.validation->accuracy);
  }
  return line + fmt::format("  {:>8.2f}  {:>8.0f}{}", epoch.seconds, epoch.images_per_second,
                            is_best ? "  best" : "");
}

std::string Progress::short_lines(const EpochMetrics& epoch, bool is_best) const {
  std::vector<std::string> parts{fmt::format("epoch {}/{}", epoch.epoch, epochs_),
                                 fmt::format("train_loss {:.4f}", epoch.train_loss),
                                 fmt::format("test_loss {:.4f}", epoch.test.loss),
                                 fmt::format("test_accuracy {:.4f}", epoch.test.accuracy)};
  if (epoch.validation) {
    parts.push_back(fmt::format("validation_loss {:.4f}", epoch.validation->loss));
    parts.push_back(fmt::format("validation_accuracy {:.4f}", epoch.validation->accuracy));
  }
  parts.push_back(fmt::format("{:.2f} s", epoch.seconds));
  if (is_best) {
    parts.emplace_back("best");
  }
  return wrapped(parts, terminal_.columns);
}

void Progress::on_epoch(const EpochMetrics& epoch, bool is_best) {
  if (!is_table_) {
    print(short_lines(epoch, is_best));
    return;
  }
  const std::string row = table_row(epoch, is_best);
  print(has_bar_ ? "\r" + row + "\033[K\n" : row + "\n");
}

}  // namespace warptape::tools
