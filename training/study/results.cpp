#include "training/study/results.h"

#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.h"
#include "training/csv.h"
#include "training/file.h"
#include "training/json_text.h"

namespace warptape::weight_norm_study {
namespace {

constexpr uint64_t most_plan_bytes = 1 << 24;

// The numbers of a row, in the order of columns.
template <class Visit, class AnyRow>
void visit_numbers(Visit&& visit, AnyRow& row) {
  visit("train_loss", row.train_loss);
  visit("loss", row.loss);
  visit("error", row.error);
  visit("gradient_norm", row.gradient_norm);
  visit("v_norm", row.v_norm);
  visit("effective_step", row.effective_step);
  visit("seconds_per_step", row.seconds_per_step);
}

// Shortest digits that read back as the same number.
std::string field_of(double value) {
  return std::isnan(value) ? "" : fmt::format("{}", value);
}
std::string field_of(const std::optional<double>& value) {
  return value ? field_of(*value) : "";
}

// The columns of a table by name.
class Columns {
 public:
  explicit Columns(const CsvTable& table) : table_(table) {}
  const std::string& text(const std::string& name, size_t row) {
    const auto [at, is_new] = texts_.try_emplace(name);
    if (is_new) {
      at->second = table_.texts(name);
    }
    return at->second[row];
  }
  double number(const std::string& name, size_t row) {
    const std::string& field = text(name, row);
    if (field.empty()) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    double value = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    check<FileError>(error == std::errc() && end == field.data() + field.size(),
                     "[study] {}: line {}: {}: got \"{}\", wanted a number or nothing",
                     escaped(table_.path()), CsvTable::line_of(row), name, excerpt(field));
    return value;
  }

 private:
  const CsvTable& table_;
  std::map<std::string, std::vector<std::string>> texts_;
};

// What names a cell in the table, in the order of columns.
std::string key_of(const std::string& subject, const std::string& method,
                   const std::string& optimizer, double rate, double seed) {
  return fmt::format("{},{},{},{},{}", subject, method, optimizer, rate, seed);
}
std::string key_of(const StudyPlan& plan, const Cell& cell) {
  return key_of(subject_of(plan.recipes[cell.recipe]), to_string(cell.method), cell.optimizer,
                cell.learning_rate, static_cast<double>(cell.seed));
}

void check_same_plan(const StudyPlan& plan, const std::string& path) {
  const std::string stored = read_file(path, most_plan_bytes, "study");
  const nlohmann::ordered_json before = parse_json(to_json(plan_from_json(stored, path)));
  const nlohmann::ordered_json now = parse_json(to_json(plan));
  std::vector<std::string> differ;
  for (const auto& [key, value] : now.items()) {
    if (before.at(key) != value) {
      differ.push_back(key);
    }
  }
  check<FileError>(differ.empty(),
                   "[study] {}: got another plan: {} differ; a study goes on with the plan that it "
                   "began with, another one wants a folder of its own",
                   escaped(path), fmt::join(differ, ", "));
}

}  // namespace

Results::Results(StudyPlan plan) : plan_(std::move(plan)) {
  check_plan(plan_);
  cells_ = cells_of(plan_);
}

Results Results::open(const std::string& folder, const StudyPlan& plan) {
  Results results(plan);
  const std::string stored_plan = folder + "/plan.json";
  const std::string table = folder + "/results.csv";
  if (std::filesystem::exists(stored_plan)) {
    check_same_plan(plan, stored_plan);
  }
  if (std::filesystem::exists(table)) {
    results.read_csv_rows(table);
  }
  return results;
}

void Results::read_csv_rows(const std::string& path) {
  std::map<std::string, size_t> by_key;
  for (size_t i = 0; i < cells_.size(); ++i) {
    by_key[key_of(plan_, cells_[i])] = i;
  }
  const CsvTable table = read_csv(path);
  Columns columns(table);
  std::map<size_t, std::vector<EpochRow>> found;
  for (size_t line = 0; line < table.rows(); ++line) {
    const std::string key = key_of(
        columns.text("model", line), columns.text("method", line), columns.text("optimizer", line),
        columns.number("learning_rate", line), columns.number("seed", line));
    const auto cell = by_key.find(key);
    check<FileError>(cell != by_key.end(),
                     "[study] {}: line {}: got a run of another plan, {}, wanted one of this",
                     escaped(path), CsvTable::line_of(line), excerpt(key));
    EpochRow row;
    row.epoch = static_cast<int64_t>(columns.number("epoch", line));
    const auto read = [&](const char* name, auto& target) {
      const double value = columns.number(name, line);
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(target)>, double>) {
        target = value;
      } else if (!std::isnan(value)) {
        target = value;
      }
    };
    visit_numbers(read, row);
    row.diverged = columns.text("diverged", line) == "1";
    found[cell->second].push_back(row);
  }
  for (auto& [cell, rows] : found) {
    if (is_complete(plan_, cells_[cell], rows)) {
      rows_[cell] = std::move(rows);
    }
  }
}

std::string Results::csv() const {
  std::string text = "model,method,optimizer,learning_rate,seed,epoch";
  const EpochRow none;
  visit_numbers([&](const char* name, const auto&) { text += fmt::format(",{}", name); }, none);
  text += ",diverged\n";
  for (const auto& [cell, rows] : rows_) {
    const std::string key = key_of(plan_, cells_[cell]);
    for (const EpochRow& row : rows) {
      text += fmt::format("{},{}", key, row.epoch);
      visit_numbers([&](const char*, const auto& value) { text += "," + field_of(value); }, row);
      text += fmt::format(",{}\n", row.diverged ? 1 : 0);
    }
  }
  return text;
}

}  // namespace warptape::weight_norm_study
