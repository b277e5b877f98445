#include "training/forecast/series.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "training/csv.h"

namespace warptape::forecasting {
namespace {

// The rows of the table that belong to one group, in their order.
struct Group {
  std::string name;
  std::vector<size_t> rows;
};

std::vector<Group> groups_of(const CsvTable& table, const std::string& column) {
  std::vector<Group> groups;
  if (column.empty()) {
    groups.push_back({"", {}});
    for (size_t row = 0; row < table.rows(); ++row) {
      groups[0].rows.push_back(row);
    }
    return groups;
  }
  const std::vector<std::string> names = table.texts(column);
  for (size_t row = 0; row < names.size(); ++row) {
    check<FileError>(!names[row].empty(),
                     "[forecast] {}: line {}, {}: got an empty cell, wanted the name of a group",
                     escaped(table.path()), CsvTable::line_of(row), excerpt(column));
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& group) { return group.name == names[row]; });
    if (found == groups.end()) {
      groups.push_back({names[row], {}});
      found = groups.end() - 1;
    }
    found->rows.push_back(row);
  }
  return groups;
}

template <class T>
std::vector<T> chosen(const std::vector<T>& all, const std::vector<size_t>& rows) {
  std::vector<T> result;
  for (const size_t row : rows) {
    result.push_back(all[row]);
  }
  return result;
}

// The group's values, of its first rows: how many rows at its end have none is for who reads
// future covariates.
std::vector<double> values_of(const CsvTable& table, const std::string& column, const Group& group,
                              bool may_end_early) {
  const std::vector<std::string> texts = chosen(table.texts(column), group.rows);
  size_t count = texts.size();
  while (may_end_early && count > 0 && texts[count - 1].empty()) {
    --count;
  }
  check<FileError>(count > 0, "[forecast] {}: {}: got no values{}, wanted some",
                   escaped(table.path()), excerpt(column),
                   group.name.empty() ? "" : " of " + excerpt(group.name));
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) {
    values.push_back(table.number(column, group.rows[i]));
  }
  return values;
}

Times times_of(const CsvTable& table, const SeriesOptions& options, const Group& group,
               const std::vector<int64_t>& lines) {
  if (options.time.empty()) {
    return Times::numbered(static_cast<int64_t>(group.rows.size()));
  }
  return Times::read(chosen(table.texts(options.time), group.rows),
                     {.path = table.path(), .column = options.time, .lines = lines});
}

// A column is one thing: one to forecast that were also known ahead would tell itself.
void check_columns(const SeriesOptions& options) {
  std::vector<std::pair<std::string, const char*>> used;
  const auto add = [&](const std::string& column, const char* use) {
    for (const auto& [other, before] : used) {
      check<ValueError>(column != other,
                        "[forecast] column {}: got it as {} and as {}, wanted it once",
                        excerpt(column), before, use);
    }
    used.emplace_back(column, use);
  };
  for (const std::string& column : options.columns) {
    add(column, "one to forecast");
  }
  if (!options.time.empty()) {
    add(options.time, "the time");
  }
  if (!options.group.empty()) {
    add(options.group, "the group");
  }
  for (const std::string& column : options.future_covariates) {
    add(column, "a future covariate");
  }
  // What a series was up to now may be a covariate, of others.
  used.erase(used.begin(), used.end() - static_cast<int64_t>(options.future_covariates.size()));
  for (const std::string& column : options.past_covariates) {
    add(column, "a past covariate");
  }
  for (const std::string& feature : options.calendar) {
    check<ValueError>(std::count(options.calendar.begin(), options.calendar.end(), feature) == 1,
                      "[forecast] covariates: got {} twice, wanted each once", excerpt(feature));
  }
}

}  // namespace

int64_t Series::known_ahead() const {
  return known.empty() ? 0 : static_cast<int64_t>(known.front().size()) - rows();
}

SeriesSet read_series(const std::string& path, const SeriesOptions& options) {
  check<ValueError>(!options.columns.empty(), "[forecast] columns: got none, wanted one or more");
  check<ValueError>(options.calendar.empty() || !options.time.empty(),
                    "[forecast] covariates: got no column of times, wanted one");
  check_columns(options);
  const CsvTable table = read_csv(path);
  SeriesSet set;
  set.path = path;
  for (const std::string& feature : options.calendar) {
    set.known_names.push_back("sin " + feature);
    set.known_names.push_back("cos " + feature);
  }
  const auto& given = options.future_covariates;
  set.known_names.insert(set.known_names.end(), given.begin(), given.end());
  set.past_names = options.past_covariates;
  for (const Group& group : groups_of(table, options.group)) {
    std::vector<int64_t> lines;
    for (const size_t row : group.rows) {
      lines.push_back(CsvTable::line_of(row));
    }
    const Times times = times_of(table, options, group, lines);
    if (times.gaps() > 0) {
      set.warnings.push_back(
          fmt::format("{}{}: {} gaps between times; rows count as equally far apart", escaped(path),
                      group.name.empty() ? "" : ", " + excerpt(group.name), times.gaps()));
    }
    for (const std::string& column : options.columns) {
      Series series;
      series.name = group.name.empty()             ? column
                    : options.columns.size() == 1U ? group.name
                                                   : group.name + "/" + column;
      series.values = values_of(table, column, group, !given.empty());
      series.times = times;
      series.lines = lines;
      const int64_t ahead =
          given.empty() ? options.horizon : static_cast<int64_t>(group.rows.size()) - series.rows();
      if (ahead > 0 && ahead < options.horizon) {
        set.warnings.push_back(fmt::format(
            "{}: {}: {} rows to come have covariates, and the horizon has {}: what comes behind "
            "the last value is not forecast",
            escaped(path), excerpt(series.name), ahead, options.horizon));
      }
      for (const std::string& feature : options.calendar) {
        std::vector<double> sines;
        std::vector<double> cosines;
        for (int64_t row = 0; row < series.rows() + ahead; ++row) {
          const double angle = 2 * std::numbers::pi * times.phase(feature, row);
          sines.push_back(std::sin(angle));
          cosines.push_back(std::cos(angle));
        }
        series.known.push_back(std::move(sines));
        series.known.push_back(std::move(cosines));
      }
      for (const std::string& covariate : given) {
        std::vector<double> numbers;
        for (const size_t row : group.rows) {
          numbers.push_back(table.number(covariate, row));
        }
        series.known.push_back(std::move(numbers));
      }
      for (const std::string& covariate : options.past_covariates) {
        std::vector<double> numbers;
        for (size_t row = 0; row < series.values.size(); ++row) {
          numbers.push_back(table.number(covariate, group.rows[row]));
        }
        series.past.push_back(std::move(numbers));
      }
      set.series.push_back(std::move(series));
    }
  }
  return set;
}

}  // namespace warptape::forecasting
