#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace warptape {

// A text file with a line of names and then a line per row, fields between commas, with quotes
// around them or without. A column may be without a name; it cannot be asked for. A mark of UTF-8
// at the file's begin is passed over, and so are empty lines at its end; lines may end as Windows
// ends them.
class CsvTable {
 public:
  const std::vector<std::string>& names() const { return names_; }
  size_t rows() const { return rows_.size(); }
  const std::string& path() const { return path_; }
  static int64_t line_of(size_t row) { return static_cast<int64_t>(row) + 2; }
  // FileError if there is no such column.
  std::vector<std::string> texts(const std::string& column) const;
  // FileError names the line if one of them is no finite decimal number.
  std::vector<double> numbers(const std::string& column) const;
  double number(const std::string& column, size_t row) const;  // likewise

 private:
  friend CsvTable read_csv(const std::string& path);
  size_t index_of(const std::string& column) const;
  double number_at(size_t index, size_t row) const;

  std::string path_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> rows_;
};

// FileError for a file without rows, for a name that is there twice, for a line with another number
// of fields than names, for quotes that do not stand around a field, and for UTF-16.
CsvTable read_csv(const std::string& path);

}  // namespace warptape
