#include "training/study/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace warptape::weight_norm_study {
namespace {

constexpr double not_there = std::numeric_limits<double>::quiet_NaN();

using CellsByRate = std::map<double, std::vector<size_t>>;  // each by seeds

// Empty unless all of them have run.
CellsByRate cells_by_rate(const Results& results, size_t recipe, const std::string& optimizer,
                          Method method) {
  CellsByRate cells;
  for (size_t i = 0; i < results.cells().size(); ++i) {
    const Cell& cell = results.cells()[i];
    if (cell.recipe == recipe && cell.optimizer == optimizer && cell.method == method) {
      if (!results.has(i)) {
        return {};
      }
      cells[cell.learning_rate].push_back(i);
    }
  }
  return cells;
}

bool has_diverged(const Results& results, size_t cell) {
  return results.rows(cell).back().diverged;
}

bool has_failed(const Results& results, size_t cell) {
  const std::vector<EpochRow>& rows = results.rows(cell);
  return has_diverged(results, cell) || !(rows.back().loss < rows.front().loss);
}

double loss_at_end(const Results& results, size_t cell) {
  return has_diverged(results, cell) ? not_there : results.rows(cell).back().loss;
}

double error_at_end(const Results& results, size_t cell) {
  return has_diverged(results, cell) ? not_there
                                     : results.rows(cell).back().error.value_or(not_there);
}

double mean_seconds(const Results& results, size_t cell) {
  std::vector<double> seconds;
  for (const EpochRow& row : results.rows(cell)) {
    if (!std::isnan(row.seconds_per_step)) {
      seconds.push_back(row.seconds_per_step);
    }
  }
  return mean_of(seconds);
}

double epochs_to(const Results& results, size_t cell, double loss) {
  for (const EpochRow& row : results.rows(cell)) {
    if (row.epoch > 0 && row.loss <= loss) {
      return static_cast<double>(row.epoch);
    }
  }
  const Cell& of = results.cells()[cell];
  return static_cast<double>(results.plan().recipes[of.recipe].epochs + 1);
}

template <class Function>
std::vector<double> map_cells(const std::vector<size_t>& cells, const Function& function) {
  std::vector<double> values;
  for (const size_t cell : cells) {
    values.push_back(function(cell));
  }
  return values;
}

std::vector<double> finite(const std::vector<double>& values) {
  std::vector<double> result;
  std::copy_if(values.begin(), values.end(), std::back_inserter(result),
               [](double value) { return std::isfinite(value); });
  return result;
}

Compared compared(std::vector<double> of_seeds, const Compared* plain) {
  const std::vector<double> there = finite(of_seeds);
  Compared result{.of_seeds = std::move(of_seeds), .mean = mean_of(there), .std = std_of(there)};
  if (plain == nullptr) {
    return result;
  }
  result.difference = paired_difference(result.of_seeds, plain->of_seeds);
  if (result.difference && result.difference->interval) {
    const Interval& interval = *result.difference->interval;
    result.verdict = interval.high < 0  ? Verdict::Yes
                     : interval.low > 0 ? Verdict::No
                                        : Verdict::Open;
  }
  return result;
}

double best_rate(const Results& results, const CellsByRate& cells) {
  double best = 0;
  std::pair<int64_t, double> least{};
  for (const auto& [rate, of_rate] : cells) {
    const auto diverged = std::count_if(of_rate.begin(), of_rate.end(),
                                        [&](size_t cell) { return has_diverged(results, cell); });
    std::vector<double> ends =
        finite(map_cells(of_rate, [&](size_t cell) { return error_at_end(results, cell); }));
    if (ends.empty()) {
      ends = finite(map_cells(of_rate, [&](size_t cell) { return loss_at_end(results, cell); }));
    }
    // NaN is never less: a rate of which nothing is left stands last.
    const std::pair<int64_t, double> of_this{
        diverged, ends.empty() ? std::numeric_limits<double>::infinity() : mean_of(ends)};
    if (best == 0 || of_this < least) {
      best = rate;
      least = of_this;
    }
  }
  return best;
}

MethodSummary summary_of(const Results& results, Method method, const CellsByRate& cells,
                         const MethodSummary* plain) {
  MethodSummary summary{.method = method, .learning_rate = best_rate(results, cells)};
  summary.cells = cells.at(summary.learning_rate);
  std::vector<double> failures(summary.cells.size());
  for (const auto& [rate, of_rate] : cells) {
    for (size_t seed = 0; seed < of_rate.size(); ++seed) {
      const bool failed = has_failed(results, of_rate[seed]);
      ++summary.runs;
      summary.diverged += has_diverged(results, of_rate[seed]) ? 1 : 0;
      summary.failed += failed ? 1 : 0;
      failures[seed] += failed ? 1 / static_cast<double>(cells.size()) : 0;
    }
  }
  const auto of_best = [&](Compared MethodSummary::*member, const auto& function) {
    summary.*member = compared(map_cells(summary.cells, function),
                               plain == nullptr ? nullptr : &(plain->*member));
  };
  summary.failures = compared(failures, plain == nullptr ? nullptr : &plain->failures);
  of_best(&MethodSummary::final_loss, [&](size_t cell) { return loss_at_end(results, cell); });
  of_best(&MethodSummary::final_error, [&](size_t cell) { return error_at_end(results, cell); });
  of_best(&MethodSummary::seconds_per_step,
          [&](size_t cell) { return mean_seconds(results, cell); });
  const double wanted = plain == nullptr ? summary.final_loss.mean : plain->final_loss.mean;
  of_best(&MethodSummary::epochs_to_plain,
          [&](size_t cell) { return epochs_to(results, cell, wanted); });
  return summary;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Yes:
      return "yes";
    case Verdict::No:
      return "no";
    case Verdict::Open:
      break;
  }
  return "open";
}

std::vector<SubjectAnalysis> analyse(const Results& results) {
  std::vector<SubjectAnalysis> all;
  const StudyPlan& plan = results.plan();
  for (size_t recipe = 0; recipe < plan.recipes.size(); ++recipe) {
    for (const OptimizerGrid& grid : plan.optimizers) {
      SubjectAnalysis analysis{.recipe = recipe, .optimizer = grid.name};
      for (const Method method : plan.methods) {
        const CellsByRate cells = cells_by_rate(results, recipe, grid.name, method);
        if (cells.empty() && method == Method::Plain) {
          break;
        }
        if (!cells.empty()) {
          analysis.methods.push_back(
              summary_of(results, method, cells,
                         analysis.methods.empty() ? nullptr : &analysis.methods.front()));
        }
      }
      if (!analysis.methods.empty()) {
        const size_t first = analysis.methods.front().cells.front();
        analysis.has_error = results.rows(first).front().error.has_value();
        all.push_back(std::move(analysis));
      }
    }
  }
  return all;
}

}  // namespace warptape::weight_norm_study
