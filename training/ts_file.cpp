#include "training/ts_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "training/text_lines.h"

namespace warptape {
namespace {

constexpr const char* who = "load_ts";
constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  return result;
}

bool is_missing(std::string_view text) {
  return text == "?" || lower(text) == "nan";
}

// What the lines in front of the data say; what they do not say is not there.
struct Header {
  std::string problem;
  std::vector<std::string> classes;
  std::optional<bool> missing;
  std::optional<bool> univariate;
  std::optional<bool> equal_length;
  std::optional<int64_t> channels;
  std::optional<int64_t> length;
};

class TsReader {
 public:
  TsReader(const std::string& path, MissingValues missing) : lines_(path, who), missing_(missing) {}

  TsFile read() {
    read_header();
    TsFile result{.problem = header_.problem, .classes = header_.classes, .channels = 0};
    while (const auto line = lines_.next()) {
      const std::string_view row = trimmed(*line);
      if (row.empty() || row.front() == '#') {
        continue;
      }
      read_row(row, result);
    }
    if (result.series.empty()) {
      lines_.fail_file("got no series behind @data, wanted one or more");
    }
    return result;
  }

 private:
  void read_header() {
    while (const auto line = lines_.next()) {
      const std::string_view text = trimmed(*line);
      if (text.empty() || text.front() == '#') {
        continue;
      }
      lines_.require(text.front() == '@',
                     "got \"{}\", wanted a line of the header (@classLabel ...), or @data in front "
                     "of the series",
                     excerpt(text));
      const std::vector<std::string_view> words = words_of(text.substr(1));
      const std::string name = words.empty() ? "" : lower(words[0]);
      if (name == "data") {
        lines_.require(!header_.classes.empty(),
                       "got @data, wanted @classLabel true and the classes in front of it");
        return;
      }
      read_directive(name, {words.begin() + (words.empty() ? 0 : 1), words.end()}, text);
    }
    lines_.fail_file("got no line @data, wanted one in front of the series");
  }

  void read_directive(const std::string& name, const std::vector<std::string_view>& values,
                      std::string_view line) {
    if (name == "problemname") {
      header_.problem = values.empty() ? "" : std::string(values[0]);
    } else if (name == "timestamps") {
      lines_.require(!flag(values, line), "got \"{}\", wanted series without time stamps",
                     excerpt(line));
    } else if (name == "missing") {
      header_.missing = flag(values, line);
    } else if (name == "univariate") {
      header_.univariate = flag(values, line);
    } else if (name == "equallength") {
      header_.equal_length = flag(values, line);
    } else if (name == "dimension" || name == "dimensions") {
      header_.channels = count(values, line);
    } else if (name == "serieslength") {
      header_.length = count(values, line);
    } else if (name == "targetlabel") {
      lines_.require(!flag(values, line), "got \"{}\", wanted classes (@classLabel)",
                     excerpt(line));
    } else if (name == "classlabel") {
      read_classes(values, line);
    } else {
      lines_.fail(fmt::format(
          "got \"{}\", wanted @problemName, @timestamps, @missing, @univariate, @dimensions, "
          "@equalLength, @seriesLength, @classLabel or @data",
          excerpt(line)));
    }
  }

  bool flag(const std::vector<std::string_view>& values, std::string_view line) const {
    const std::string value = values.empty() ? "" : lower(values[0]);
    lines_.require(values.size() == 1 && (value == "true" || value == "false"),
                   "got \"{}\", wanted true or false behind the name", excerpt(line));
    return value == "true";
  }

  int64_t count(const std::vector<std::string_view>& values, std::string_view line) const {
    const double number = values.size() == 1 ? finite_number(values[0]).value_or(0) : 0;
    lines_.require(number >= 1 && number <= 1e9 && std::floor(number) == number,
                   "got \"{}\", wanted a whole number of 1 or more behind the name", excerpt(line));
    return static_cast<int64_t>(number);
  }

  void read_classes(const std::vector<std::string_view>& values, std::string_view line) {
    lines_.require(!values.empty() && lower(values[0]) == "true",
                   "got \"{}\", wanted @classLabel true and the classes: the series are to be "
                   "labelled",
                   excerpt(line));
    header_.classes.assign(values.begin() + 1, values.end());
    lines_.require(header_.classes.size() >= 2, "got {} classes in \"{}\", wanted 2 or more",
                   header_.classes.size(), excerpt(line));
    for (const std::string& name : header_.classes) {
      lines_.require(std::count(header_.classes.begin(), header_.classes.end(), name) == 1,
                     "got the class \"{}\" twice, wanted each once", excerpt(name));
      labels_[name] = static_cast<int64_t>(labels_.size());
    }
  }

  void read_row(std::string_view row, TsFile& to) {
    const size_t last = row.rfind(':');
    lines_.require(last != std::string_view::npos,
                   "got \"{}\", wanted channels and a class with \":\" between them", excerpt(row));
    const std::string label(trimmed(row.substr(last + 1)));
    LabelledSeries series;
    int64_t channels = 0;
    const std::string_view data = row.substr(0, last);
    for (size_t begin = 0; begin <= data.size(); ++channels) {
      const size_t end = std::min(data.find(':', begin), data.size());
      read_channel(data.substr(begin, end - begin), channels + 1, series);
      begin = end + 1;
    }
    check_channels(channels, to);
    const auto found = labels_.find(label);
    lines_.require(found != labels_.end(), "got the class \"{}\", wanted one of {}", excerpt(label),
                   excerpt(fmt::format("{}", fmt::join(header_.classes, ", "))));
    series.label = found->second;
    check_length(series.length, to);
    to.channels = channels;
    to.series.push_back(std::move(series));
  }

  void read_channel(std::string_view text, int64_t channel, LabelledSeries& to) const {
    const size_t first = to.values.size();
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      const std::string_view word = trimmed(text.substr(begin, end - begin));
      begin = end + 1;
      if (is_missing(word)) {
        check_missing(channel, to.values.size() - first + 1);
        to.values.push_back(no_value);
        continue;
      }
      const std::optional<double> number = finite_number(word);
      lines_.require(number.has_value(),
                     "channel {}, value {}: got \"{}\", wanted a finite decimal number", channel,
                     to.values.size() - first + 1, excerpt(word));
      to.values.push_back(*number);
    }
    const auto length = static_cast<int64_t>(to.values.size() - first);
    lines_.require(
        channel == 1 || length == to.length,
        "got {} values in channel {} and {} in channel 1, wanted as many in all of a row", length,
        channel, to.length);
    to.length = length;
    fill(to.values.data() + first, to.values.data() + to.values.size(), channel);
  }

  void check_missing(int64_t channel, size_t place) const {
    lines_.require(missing_ != MissingValues::Refuse,
                   "channel {}, value {}: got a missing value, wanted none (a model trained with "
                   "--missing previous takes the value before)",
                   channel, place);
    lines_.require(header_.missing.value_or(true),
                   "channel {}, value {}: got a missing value, wanted none, as @missing false says",
                   channel, place);
  }

  // In place of what is missing.
  void fill(double* begin, double* end, int64_t channel) const {
    double* const first = std::find_if(begin, end, [](double v) { return !std::isnan(v); });
    lines_.require(first != end, "channel {}: got no value at all, wanted one or more", channel);
    std::fill(begin, first, *first);
    for (double* at = first + 1; at < end; ++at) {
      *at = std::isnan(*at) ? at[-1] : *at;
    }
  }

  void check_channels(int64_t channels, const TsFile& so_far) const {
    const int64_t wanted = !so_far.series.empty()               ? so_far.channels
                           : header_.channels.has_value()       ? *header_.channels
                           : header_.univariate.value_or(false) ? 1
                                                                : channels;
    lines_.require(channels == wanted, "got {} channels, wanted {}, as {}", channels, wanted,
                   !so_far.series.empty()         ? "the rows before"
                   : header_.channels.has_value() ? "@dimensions says"
                                                  : "@univariate says");
    lines_.require(!header_.univariate.value_or(false) || channels == 1,
                   "got {} channels, wanted 1, as @univariate says", channels);
  }

  void check_length(int64_t length, const TsFile& so_far) const {
    lines_.require(!header_.length || length <= *header_.length,
                   "got {} values per channel, wanted at most {}, as @seriesLength says", length,
                   header_.length.value_or(0));
    lines_.require(!header_.equal_length.value_or(false) || so_far.series.empty() ||
                       length == so_far.series[0].length,
                   "got {} values per channel, wanted {} as in the first row: @equalLength is true",
                   length, so_far.series.empty() ? 0 : so_far.series[0].length);
  }

  TextLines lines_;
  MissingValues missing_;
  Header header_;
  std::map<std::string, int64_t> labels_;
};

}  // namespace

MissingValues missing_values(const std::string& name) {
  check<ValueError>(name == "refuse" || name == "previous",
                    "[{}] missing: got {}, wanted refuse or previous", who, escaped(name));
  return name == "previous" ? MissingValues::Previous : MissingValues::Refuse;
}

int64_t TsFile::longest() const {
  return std::max_element(series.begin(), series.end(),
                          [](const auto& a, const auto& b) { return a.length < b.length; })
      ->length;
}

int64_t TsFile::shortest() const {
  return std::min_element(series.begin(), series.end(),
                          [](const auto& a, const auto& b) { return a.length < b.length; })
      ->length;
}

TsFile load_ts(const std::string& path, MissingValues missing) {
  return TsReader(path, missing).read();
}

}  // namespace warptape
