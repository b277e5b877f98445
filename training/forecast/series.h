#pragma once
// Series of numbers from a CSV file, with what is known of their rows.

#include <string>
#include <vector>

#include "training/forecast/times.h"

namespace warptape::forecasting {

struct SeriesOptions {
  std::vector<std::string> columns = {};   // one or more, a series each
  std::string time = {};                   // column of times; empty: rows are numbered
  std::string group = {};                  // column that says whose row it is; empty: of one
  std::vector<std::string> calendar = {};  // features of the times (Times::features())
  std::vector<std::string> future_covariates = {};  // columns of numbers that are known ahead
  std::vector<std::string> past_covariates = {};    // columns that are known up to now alone
  int64_t horizon = 1;                              // rows to come for which the calendar is asked
};

struct Series {
  std::string name;  // of the column, of the group, or "group/column"
  std::vector<double> values;
  Times times;
  std::vector<int64_t> lines;  // of the rows, in the file
  // Of each channel, for every row, and for what is known of rows behind the last value.
  std::vector<std::vector<double>> known;

  // Of each channel, for the rows that have a value.
  std::vector<std::vector<double>> past = {};

  int64_t rows() const { return static_cast<int64_t>(values.size()); }
  // Rows behind the last value of which everything is known.
  int64_t known_ahead() const;
};

struct SeriesSet {
  std::string path;
  std::vector<Series> series;  // one or more
  // Of the channels of `known`: a calendar feature is two of them, sine and cosine.
  std::vector<std::string> known_names;
  std::vector<std::string> past_names = {};  // likewise of `past`
  std::vector<std::string> warnings;         // whole lines, for people
};

// Values may be missing only in the last rows, and only where future covariates are there: what is
// known of rows to come. FileError names file and line for a column that is not there, a field that
// is no finite number, an empty one, and times that are none, not in order or twice. ValueError for
// a column that is to be two things, as one to forecast that is also known ahead.
SeriesSet read_series(const std::string& path, const SeriesOptions& options);

}  // namespace warptape::forecasting
