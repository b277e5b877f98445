#include "tools/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace warptape::tools {
namespace {

constexpr int64_t bar_width = 30;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

Progress::Progress(int64_t epochs, int64_t steps_per_epoch, bool with_validation)
    : epochs_(epochs), steps_per_epoch_(steps_per_epoch), terminal_(::isatty(STDOUT_FILENO) != 0) {
  print(fmt::format("{:>9}  {:>10}  {:>9}  {:>13}{}  {:>8}  {:>8}\n", "epoch", "train_loss",
                    "test_loss", "test_accuracy",
                    with_validation ? "  validation_loss  validation_accuracy" : "", "seconds",
                    "images/s"));
}

void Progress::on_step(const StepMetrics& step) {
  if (!terminal_) {
    return;
  }
  const int64_t in_epoch = (step.step - 1) % steps_per_epoch_ + 1;
  const int64_t filled = bar_width * in_epoch / steps_per_epoch_;
  print(fmt::format("\r{:>9}  [{}{}] {}/{}  loss {:.4f}\033[K",
                    fmt::format("{}/{}", step.epoch, epochs_),
                    std::string(static_cast<size_t>(filled), '='),
                    std::string(static_cast<size_t>(bar_width - filled), ' '), in_epoch,
                    steps_per_epoch_, step.loss));
}

void Progress::on_epoch(const EpochMetrics& epoch, bool is_best) {
  std::string line = terminal_ ? "\r" : "";
  line += fmt::format("{:>9}  {:>10.4f}  {:>9.4f}  {:>13.4f}",
                      fmt::format("{}/{}", epoch.epoch, epochs_), epoch.train_loss, epoch.test.loss,
                      epoch.test.accuracy);
  if (epoch.validation) {
    line +=
        fmt::format("  {:>15.4f}  {:>19.4f}", epoch.validation->loss, epoch.validation->accuracy);
  }
  line += fmt::format("  {:>8.2f}  {:>8.0f}{}", epoch.seconds, epoch.images_per_second,
                      is_best ? "  best" : "");
  print(line + (terminal_ ? "\033[K\n" : "\n"));
}

}  // namespace warptape::tools
