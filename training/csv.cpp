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

// Fields between commas. One that begins with a quote goes on to the next single quote, commas and
// all; two quotes in it are one of its own. Says what is wrong, or nothing.
std::string read_fields(std::string_view line, std::vector<std::string>& fields) {
  for (size_t at = 0; at <= line.size(); ++at) {  // behind the field: its comma, or the end
    std::string field;
    const bool is_quoted = at < line.size() && line[at] == '"';
    if (is_quoted) {
      for (++at;; ++at) {
        if (at == line.size()) {
          return "got a quote that does not end in its line";
        }
        const bool is_quote = line[at] == '"';
        const bool is_double = is_quote && at + 1 < line.size() && line[at + 1] == '"';
        if (is_quote && !is_double) {
          break;
        }
        field += line[at];
        at += is_double ? 1 : 0;
      }
      ++at;
    }
    const size_t end = std::min(line.find(',', at), line.size());
    const std::string_view rest = line.substr(at, end - at);
    if (rest.find('"') != std::string_view::npos || (is_quoted && !rest.empty())) {
      return "got a quote inside a field, wanted quotes around all of it";
    }
    fields.push_back(is_quoted ? field : std::string(rest));
    at = end;
  }
  return "";
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
    if (number > 1 && line.empty() && text.find_first_not_of("\r\n", begin - 1) == text.npos) {
      break;  // nothing but line ends to the end of the file
    }
    std::vector<std::string> fields;
    const std::string fault = read_fields(line, fields);
    if (!fault.empty()) {
      fail(path, fmt::format("line {}: {}", number, fault));
    }
    if (number == 1) {
      for (const std::string& name : fields) {
        if (!name.empty() && std::count(fields.begin(), fields.end(), name) > 1) {
          fail(path,
               fmt::format("line 1: got the name \"{}\" twice, wanted each once", excerpt(name)));
        }
      }
      table.names_ = std::move(fields);
      continue;
    }
    if (fields.size() != table.names_.size()) {
      fail(path, line.empty() ? fmt::format("line {}: got an empty line", number)
                              : fmt::format("line {}: got {} fields, wanted {}", number,
                                            fields.size(), table.names_.size()));
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
  if (found == names_.end() || column.empty()) {
    std::vector<std::string> names = names_;
    std::erase(names, "");  // such as the column of numbers that pandas writes in front
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
