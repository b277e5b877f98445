#pragma once
// The times of a series' rows: what calendar features are made of, and the names of rows to come.

#include <cstdint>
#include <string>
#include <vector>

namespace warptape::forecasting {

// Where texts stand in a file, for errors.
struct TextSource {
  std::string path;
  std::string column;
  std::vector<int64_t> lines;  // of each text
};

// Times in ascending order, all of one form:
//   1949-01                      months
//   1949-01-31, 1949/01/31       days; months where all have the same day and steps are of months
//   1949-01-31 13:45[:10]        seconds; T or a space between; a Z at the end is passed over
//   12, 12.5                     numbers
class Times {
 public:
  // Rows by their number, from 1.
  static Times numbered(int64_t rows);
  // FileError names the line of a text that is no such time, that comes twice, or that comes
  // behind a later one.
  static Times read(const std::vector<std::string>& texts, const TextSource& source);

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  // Of a row as it was read; behind the last one as the steps go on.
  std::string text(int64_t row) const;
  // Where rows are further apart than usual.
  int64_t gaps() const { return gaps_; }

  // From 0 to below 1: month, quarter, day_of_week (Monday 0), day_of_month, day_of_year or hour.
  // ValueError lists them, and names what these times do not tell.
  double phase(const std::string& feature, int64_t row) const;
  static const std::vector<std::string>& features();

 private:
  enum class Kind { Numbers, Months, Days, Seconds };
  double at(int64_t row) const;
  void find_step();

  Kind kind_ = Kind::Numbers;
  std::vector<std::string> texts_;
  std::vector<double> at_;  // months of year 0, days or seconds of 1970, or the numbers
  double step_ = 1;
  int64_t gaps_ = 0;
  int64_t day_ = 0;       // of Months: the day that all have; 0: none was given
  char separator_ = '-';  // between year, month and day
  char between_ = ' ';    // between day and hour
  bool has_seconds_ = false;
};

}  // namespace warptape::forecasting
