#include "training/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace warptape {
namespace {

constexpr size_t bar_width = 30;

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// A column is as wide as its name, and as a number.
size_t width_of(const std::string& name) {
  return std::max<size_t>(9, name.size());
}

}  // namespace

Progress::Progress(int64_t epochs, int64_t steps_per_epoch, RunColumns columns)
    : epochs_(epochs),
      steps_per_epoch_(steps_per_epoch),
      columns_(std::move(columns)),
      terminal_(standard_output()) {
  std::string head = fmt::format("{:>9}", "epoch");
  for (const Column& column : columns_of({})) {
    head += fmt::format("  {:>{}}", column.name, width_of(column.name));
  }
  head += fmt::format("  {:>8}  {:>8}", "seconds", columns_.rows + "/s");
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

std::vector<Progress::Column> Progress::columns_of(const EpochMetrics& epoch) const {
  std::vector<Column> result = {{"train_loss", epoch.train_loss}};
  const auto add = [&](const std::string& of, bool is_there,
                       const std::optional<Evaluation>& evaluation) {
    const Evaluation shown = evaluation.value_or(Evaluation());
    if (is_there) {
      result.push_back({of + "_loss", shown.loss});
    }
    if (is_there && !columns_.metric.empty()) {
      result.push_back({of + "_" + columns_.metric, shown.metric.value_or(0)});
    }
  };
  add("test", columns_.test, epoch.test);
  add("validation", columns_.validation, epoch.validation);
  return result;
}

std::string Progress::table_row(const EpochMetrics& epoch) const {
  std::string line = fmt::format("{:>9}", fmt::format("{}/{}", epoch.epoch, epochs_));
  for (const Column& column : columns_of(epoch)) {
    line += fmt::format("  {:>{}.4f}", column.value, width_of(column.name));
  }
  return line + fmt::format("  {:>8.2f}  {:>8.0f}{}", epoch.seconds, epoch.rows_per_second,
                            epoch.is_best ? "  best" : "");
}

std::string Progress::short_lines(const EpochMetrics& epoch) const {
  std::vector<std::string> parts{fmt::format("epoch {}/{}", epoch.epoch, epochs_)};
  for (const Column& column : columns_of(epoch)) {
    parts.push_back(fmt::format("{} {:.4f}", column.name, column.value));
  }
  parts.push_back(fmt::format("{:.2f} s", epoch.seconds));
  if (epoch.is_best) {
    parts.emplace_back("best");
  }
  return wrapped(parts, terminal_.columns);
}

void Progress::on_epoch(const EpochMetrics& epoch) {
  if (!is_table_) {
    print(short_lines(epoch));
    return;
  }
  const std::string row = table_row(epoch);
  print(has_bar_ ? "\r" + row + "\033[K\n" : row + "\n");
}

}  // namespace warptape
