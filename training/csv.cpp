#include "training/csv.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "core/error.h"
#include "training/file.h"

namespace warptape {
namespace {

constexpr const char* who = "read_csv";
constexpr uint64_t most_bytes = uint64_t{1} << 30;
constexpr std::string_view utf8_mark = "\xef\xbb\xbf";

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw FileError(fmt::format("[{}] {}: {}", who, escaped(path), message));
}

std::vector<std::string> fields_of(std::string_view line) {
  std::vector<std::string> fields;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(',', begin), line.size());
    fields.emplace_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return fields;
}

}  // namespace

CsvTable read_csv(const std::string& path) {
  const std::string text = read_file(path, most_bytes, who);
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    fail(path, "got UTF-16, wanted UTF-8");
  }
  CsvTable table;
  table.path_ = path;
  size_t number = 0;
  for (size_t begin = text.starts_with(utf8_mark) ? utf8_mark.size() : 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (line.find('"') != std::string_view::npos) {
      fail(path, fmt::format("line {}: got a quote, wanted fields without", number));
    }
    std::vector<std::string> fields = fields_of(line);
    if (number == 1) {
      for (const std::string& name : fields) {
        if (name.empty() || std::count(fields.begin(), fields.end(), name) > 1) {
          fail(path, fmt::format("line 1: got the name \"{}\", wanted one name per column, none "
                                 "of them twice",
                                 excerpt(name)));
        }
      }
      table.names_ = std::move(fields);
      continue;
    }
    if (fields.size() != table.names_.size()) {
      fail(path, fmt::format("line {}: got {} fields, wanted {}", number, fields.size(),
                             table.names_.size()));
    }
    table.rows_.push_back(std::move(fields));
  }
  if (table.rows_.empty()) {
    fail(path, fmt::format("got {} lines, wanted one of names and one or more of values", number));
  }
  return table;
}

size_t CsvTable::index_of(const std::string& column) const {
  const auto found = std::find(names_.begin(), names_.end(), column);
  if (found == names_.end()) {
    std::vector<std::string> names = names_;
    std::transform(names.begin(), names.end(), names.begin(), excerpt);
    fail(path_, fmt::format("column {}: not there, wanted one of {}", excerpt(column),
                            fmt::join(names, ", ")));
  }
  return static_cast<size_t>(found - names_.begin());
}

std::vector<std::string> CsvTable::texts(const std::string& column) const {
  const size_t index = index_of(column);
  std::vector<std::string> result;
  for (const std::vector<std::string>& row : rows_) {
    result.push_back(row[index]);
  }
  return result;
}

double CsvTable::number_at(size_t index, size_t row) const {
  const std::string& text = rows_[row][index];
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  if (fault != std::errc{} || stop != end || !std::isfinite(value)) {
    fail(path_, fmt::format("line {}, {}: got \"{}\", wanted a finite decimal number", line_of(row),
                            excerpt(names_[index]), excerpt(text)));
  }
  return value;
}

double CsvTable::number(const std::string& column, size_t row) const {
  return number_at(index_of(column), row);
}

std::vector<double> CsvTable::numbers(const std::string& column) const {
  const size_t index = index_of(column);
  std::vector<double> result;
  for (size_t row = 0; row < rows_.size(); ++row) {
    result.push_back(number_at(index, row));
  }
  return result;
}

}  // namespace warptape
