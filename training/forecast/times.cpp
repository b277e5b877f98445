#include "training/forecast/times.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string_view>

#include "core/check.h"
#include "training/text_lines.h"

namespace warptape::forecasting {
namespace {

namespace ch = std::chrono;

struct Parsed {
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;      // 0: months
  int64_t second = -1;  // of the day; -1: days
  char separator = '-';
  char between = ' ';
  bool has_seconds = false;
};

// Takes exactly so many digits off the front.
bool take_digits(std::string_view& text, size_t count, int64_t& value) {
  if (text.size() < count) {
    return false;
  }
  value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') {
      return false;
    }
    value = 10 * value + (text[i] - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool take(std::string_view& text, char wanted) {
  const bool is_there = !text.empty() && text.front() == wanted;
  text.remove_prefix(is_there ? 1 : 0);
  return is_there;
}

bool take_clock(std::string_view& text, Parsed& date) {
  int64_t hour = 0;
  int64_t minute = 0;
  int64_t second = 0;
  if (!take_digits(text, 2, hour) || !take(text, ':') || !take_digits(text, 2, minute)) {
    return false;
  }
  date.has_seconds = take(text, ':');
  if (date.has_seconds && !take_digits(text, 2, second)) {
    return false;
  }
  take(text, 'Z');
  date.second = hour * 3600 + minute * 60 + second;
  return hour < 24 && minute < 60 && second < 60;
}

std::optional<Parsed> parse_date(std::string_view text) {
  Parsed date;
  if (!take_digits(text, 4, date.year) || text.empty() ||
      (text.front() != '-' && text.front() != '/')) {
    return std::nullopt;
  }
  date.separator = text.front();
  text.remove_prefix(1);
  if (!take_digits(text, 2, date.month) || date.month < 1 || date.month > 12) {
    return std::nullopt;
  }
  if (text.empty()) {
    return date;
  }
  if (!take(text, date.separator) || !take_digits(text, 2, date.day) ||
      !ch::year_month_day(ch::year(static_cast<int>(date.year)),
                          ch::month(static_cast<unsigned>(date.month)),
                          ch::day(static_cast<unsigned>(date.day)))
           .ok()) {
    return std::nullopt;
  }
  if (text.empty()) {
    return date;
  }
  date.between = text.front();
  if ((!take(text, 'T') && !take(text, ' ')) || !take_clock(text, date) || !text.empty()) {
    return std::nullopt;
  }
  return date;
}

int64_t days_of(const Parsed& date) {
  const ch::year_month_day day(ch::year(static_cast<int>(date.year)),
                               ch::month(static_cast<unsigned>(date.month)),
                               ch::day(static_cast<unsigned>(date.day)));
  return ch::sys_days(day).time_since_epoch().count();
}

ch::year_month_day day_at(int64_t days) {
  return ch::year_month_day(ch::sys_days(ch::days(days)));
}

[[noreturn]] void fail(const TextSource& source, size_t row, const std::string& message) {
  throw FileError(fmt::format("[forecast] {}: line {}, {}: {}", escaped(source.path),
                              source.lines[row], excerpt(source.column), message));
}

}  // namespace

Times Times::numbered(int64_t rows) {
  Times times;
  for (int64_t row = 1; row <= rows; ++row) {
    times.texts_.push_back(fmt::format("{}", row));
    times.at_.push_back(static_cast<double>(row));
  }
  return times;
}

Times Times::read(const std::vector<std::string>& texts, const TextSource& source) {
  Times times;
  times.texts_ = texts;
  std::vector<Parsed> dates;
  for (size_t row = 0; row < texts.size(); ++row) {
    const std::optional<Parsed> date = parse_date(texts[row]);
    const std::optional<double> number = finite_number(texts[row]);
    if (!date && !number) {
      fail(source, row,
           fmt::format("got the time \"{}\", wanted 1949-01, 1949-01-31, 1949-01-31 13:45 or a "
                       "number",
                       excerpt(texts[row])));
    }
    const Kind kind = !date                ? Kind::Numbers
                      : date->day == 0     ? Kind::Months
                      : date->second == -1 ? Kind::Days
                                           : Kind::Seconds;
    if (row == 0) {
      times.kind_ = kind;
    } else if (kind != times.kind_) {
      fail(source, row,
           fmt::format("got the time \"{}\", wanted one as \"{}\" in line {}", excerpt(texts[row]),
                       excerpt(texts[0]), source.lines[0]));
    }
    dates.push_back(date.value_or(Parsed()));
    const Parsed& parsed = dates.back();
    times.at_.push_back(
        kind == Kind::Numbers  ? *number
        : kind == Kind::Months ? static_cast<double>(parsed.year * 12 + parsed.month - 1)
        : kind == Kind::Days   ? static_cast<double>(days_of(parsed))
                               : static_cast<double>(days_of(parsed) * 86400 + parsed.second));
    if (row > 0 && times.at_[row] <= times.at_[row - 1]) {
      const std::string got = excerpt(texts[row]);
      fail(source, row,
           times.at_[row] == times.at_[row - 1]
               ? fmt::format("got the time \"{}\" twice, wanted each once (line {} has it)", got,
                             source.lines[row - 1])
               : fmt::format("got the time \"{}\" behind a later one, wanted ascending times "
                             "(line {})",
                             got, source.lines[row - 1]));
    }
  }
  if (!dates.empty()) {
    const Parsed& first = dates.front();
    times.separator_ = first.separator;
    times.between_ = first.between;
    times.has_seconds_ = first.has_seconds;
    const bool same_day = std::all_of(dates.begin(), dates.end(),
                                      [&](const Parsed& date) { return date.day == first.day; });
    const bool by_month = dates.size() > 1 && times.at_[1] - times.at_[0] >= 28;
    if (times.kind_ == Kind::Days && same_day && by_month) {
      times.kind_ = Kind::Months;
      times.day_ = first.day;
      std::transform(dates.begin(), dates.end(), times.at_.begin(), [](const Parsed& date) {
        return static_cast<double>(date.year * 12 + date.month - 1);
      });
    }
  }
  times.find_step();
  return times;
}

// The one in the middle.
void Times::find_step() {
  std::vector<double> steps;
  for (size_t row = 1; row < at_.size(); ++row) {
    steps.push_back(at_[row] - at_[row - 1]);
  }
  if (steps.empty()) {
    return;
  }
  std::vector<double> sorted = steps;
  std::sort(sorted.begin(), sorted.end());
  step_ = sorted[sorted.size() / 2];
  gaps_ = std::count_if(steps.begin(), steps.end(),
                        [&](double step) { return step > step_ * (1 + 1e-9); });
}

double Times::at(int64_t row) const {
  if (row < size()) {
    return at_[static_cast<size_t>(row)];
  }
  const double last = at_.empty() ? 0 : at_.back();
  return last + step_ * static_cast<double>(row - size() + 1);
}

std::string Times::text(int64_t row) const {
  if (row < size()) {
    return texts_[static_cast<size_t>(row)];
  }
  const double value = at(row);
  if (kind_ == Kind::Numbers) {
    return fmt::format("{}", value);
  }
  if (kind_ == Kind::Months) {
    const auto months = static_cast<int64_t>(value);
    const std::string text = fmt::format("{:04}{}{:02}", months / 12, separator_, months % 12 + 1);
    return day_ == 0 ? text : fmt::format("{}{}{:02}", text, separator_, day_);
  }
  const auto whole = static_cast<int64_t>(value);
  const int64_t days =
      kind_ == Kind::Days ? whole : static_cast<int64_t>(std::floor(value / 86400));
  const ch::year_month_day date = day_at(days);
  std::string text = fmt::format("{:04}{}{:02}{}{:02}", static_cast<int>(date.year()), separator_,
                                 static_cast<unsigned>(date.month()), separator_,
                                 static_cast<unsigned>(date.day()));
  if (kind_ == Kind::Seconds) {
    const int64_t second = whole - days * 86400;
    text += fmt::format("{}{:02}:{:02}", between_, second / 3600, second / 60 % 60);
    text += has_seconds_ ? fmt::format(":{:02}", second % 60) : "";
  }
  return text;
}

const std::vector<std::string>& Times::features() {
  static const std::vector<std::string> names = {"month",        "quarter",     "day_of_week",
                                                 "day_of_month", "day_of_year", "hour"};
  return names;
}

double Times::phase(const std::string& feature, int64_t row) const {
  const std::vector<std::string>& known = features();
  check<ValueError>(std::find(known.begin(), known.end(), feature) != known.end(),
                    "[forecast] covariates: got \"{}\", wanted month, quarter, day_of_week, "
                    "day_of_month, day_of_year or hour",
                    excerpt(feature));
  const bool of_months = feature == "month" || feature == "quarter";
  const bool is_told = kind_ == Kind::Seconds || (kind_ == Kind::Days && feature != "hour") ||
                       (kind_ == Kind::Months && of_months);
  check<ValueError>(is_told, "[forecast] covariates: got {}, which the times ({}, ...) do not tell",
                    feature, texts_.empty() ? "none" : excerpt(texts_.front()));
  const double value = at(row);
  if (kind_ == Kind::Months) {
    const auto month = static_cast<double>(static_cast<int64_t>(value) % 12);
    return of_months && feature == "month" ? month / 12 : std::floor(month / 3) / 4;
  }
  const double days = kind_ == Kind::Days ? value : std::floor(value / 86400);
  const ch::year_month_day date = day_at(static_cast<int64_t>(days));
  const auto month = static_cast<double>(static_cast<unsigned>(date.month()) - 1);
  if (feature == "month") {
    return month / 12;
  }
  if (feature == "quarter") {
    return std::floor(month / 3) / 4;
  }
  if (feature == "day_of_week") {
    const ch::weekday day{ch::sys_days(date)};
    return static_cast<double>(day.iso_encoding() - 1) / 7;
  }
  if (feature == "day_of_month") {
    return static_cast<double>(static_cast<unsigned>(date.day()) - 1) / 31;
  }
  if (feature == "day_of_year") {
    const ch::sys_days january = ch::sys_days(date.year() / ch::January / 1);
    return static_cast<double>((ch::sys_days(date) - january).count()) / 366;
  }
  return (value - days * 86400) / 86400;
}

}  // namespace warptape::forecasting
