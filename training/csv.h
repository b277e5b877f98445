#pragma once
#include <string>
#include <vector>

namespace warptape {

// A text file with a line of names and then a line per row, fields between commas. Quotes are not
// read.
class CsvTable {
 public:
  const std::vector<std::string>& names() const { return names_; }
  size_t rows() const { return rows_.size(); }
  // FileError if there is no such column.
  std::vector<std::string> texts(const std::string& column) const;
  // FileError names the line if one of them is no finite decimal number.
  std::vector<double> numbers(const std::string& column) const;

 private:
  friend CsvTable read_csv(const std::string& path);
  size_t index_of(const std::string& column) const;

  std::string path_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> rows_;
};

// FileError for a file without rows, for a name that is there twice or is empty, for a line with
// another number of fields than names, and for quotes.
CsvTable read_csv(const std::string& path);

}  // namespace warptape
