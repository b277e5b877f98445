#include "training/forecast/plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/error.h"

namespace warptape::forecasting {
namespace {

// Rows and values of a plot, as places in it.
class Scale {
 public:
  static constexpr double width = plot_width;
  static constexpr double height = 300;
  static constexpr double left = 60;
  static constexpr double right = 10;
  static constexpr double top = 10;
  static constexpr double bottom = 30;

  Scale(double first, double last) : first_(first), last_(std::max(last, first + 1)) {}
  void include(double value) {
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
  double x(double row) const {
    return left + (row - first_) / (last_ - first_) * (width - left - right);
  }
  double y(double value) const {
    const double range = high_ > low_ ? high_ - low_ : 1;
    return height - bottom - (value - low_) / range * (height - top - bottom);
  }
  double low() const { return low_; }
  double high() const { return high_; }
  double first() const { return first_; }
  double last() const { return last_; }

 private:
  double first_;
  double last_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

std::string points(const Scale& scale, int64_t row, const Values& values) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    text +=
        fmt::format("{}{:.1f},{:.1f}", i == 0 ? "" : " ",
                    scale.x(static_cast<double>(row) + static_cast<double>(i)), scale.y(values[i]));
  }
  return text;
}

std::string line(const Scale& scale, int64_t row, const Values& values, const char* kind) {
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", kind, points(scale, row, values));
}

struct Band {
  Values low;
  Values high;
};

// Between the outermost levels, or where there are none between the seeds.
Band band_of(const StudyWindow& window) {
  if (!window.levels.empty()) {
    return {window.levels.front(), window.levels.back()};
  }
  Band band{window.of_seeds.at(0), window.of_seeds.at(0)};
  for (const Values& seed : window.of_seeds) {
    for (size_t h = 0; h < seed.size(); ++h) {
      band.low[h] = std::min(band.low[h], seed[h]);
      band.high[h] = std::max(band.high[h], seed[h]);
    }
  }
  return band;
}

std::string area(const Scale& scale, int64_t row, const Band& band) {
  const Values reversed(band.high.rbegin(), band.high.rend());
  std::string back;
  for (size_t i = band.high.size(); i-- > 0;) {
    back +=
        fmt::format(" {:.1f},{:.1f}", scale.x(static_cast<double>(row) + static_cast<double>(i)),
                    scale.y(band.high[i]));
  }
  return fmt::format("<polygon class=\"band\" points=\"{}{}\"/>\n", points(scale, row, band.low),
                     back);
}

std::string axes(const Scale& scale, const Series& series, int64_t test_begins) {
  std::string text;
  for (int tick = 0; tick <= 4; ++tick) {
    const double value = scale.low() + (scale.high() - scale.low()) * tick / 4;
    text += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}</text>\n",
        Scale::left, Scale::width - Scale::right, scale.y(value), scale.y(value), Scale::left - 6,
        scale.y(value) + 4, value);
  }
  for (int tick = 0; tick <= 5; ++tick) {
    const auto row =
        static_cast<int64_t>(scale.first() + (scale.last() - scale.first()) * tick / 5);
    text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n",
                        scale.x(static_cast<double>(row)), Scale::height - 8,
                        tick == 0   ? "start"
                        : tick == 5 ? "end"
                                    : "middle",
                        html(series.times.text(row)));
  }
  const double x = scale.x(static_cast<double>(test_begins) - 0.5);
  return text + fmt::format(
                    "<line class=\"split\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" "
                    "y2=\"{:.1f}\"/>\n",
                    x, x, Scale::top, Scale::height - Scale::bottom);
}

// Windows that do not overlap, and what comes behind the last row.
std::vector<const StudyWindow*> drawn_windows(const Study& study, size_t series) {
  std::vector<const StudyWindow*> drawn;
  int64_t next = 0;
  for (const StudyWindow& window : study.windows) {
    if (window.origin.series == series && window.origin.row >= next) {
      drawn.push_back(&window);
      next = window.origin.row + study.options.horizon;
    }
  }
  for (const StudyWindow& window : study.future) {
    if (window.origin.series == series) {
      drawn.push_back(&window);
    }
  }
  return drawn;
}

}  // namespace

std::string as_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += c == '&'   ? "&amp;"
              : c == '<' ? "&lt;"
              : c == '>' ? "&gt;"
              : c == '"' ? "&quot;"
                         : std::string(1, c);
  }
  return result;
}

std::string html(std::string_view text) {
  return as_text(escaped(text));
}

std::string shown(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "&#8211;";
}

std::string plot(const SeriesSet& data, const Study& study, size_t index) {
  const Series& series = data.series[index];
  const std::vector<const StudyWindow*> windows = drawn_windows(study, index);
  const int64_t train = study.train_rows[index];
  const int64_t end = std::min(series.rows(), train + *study.options.test);
  const int64_t first = std::max<int64_t>(0, train - 4 * *study.options.test);
  const int64_t last = windows.empty() ? end : windows.back()->origin.row + study.options.horizon;
  Scale scale(static_cast<double>(first), static_cast<double>(std::max(end, last) - 1));
  const Values past(series.values.begin() + first, series.values.begin() + end);
  std::for_each(past.begin(), past.end(), [&](double value) { scale.include(value); });
  for (const StudyWindow* window : windows) {
    const Band band = band_of(*window);
    for (const Values* values : {&band.low, &band.high, &window->forecasts.at("drift_seasonal")}) {
      std::for_each(values->begin(), values->end(), [&](double value) { scale.include(value); });
    }
  }
  std::string text = fmt::format(
      "<h3>{}</h3>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"forecast of {}\">\n",
      html(series.name), Scale::width, Scale::height, html(series.name));
  text += axes(scale, series, train);
  for (const StudyWindow* window : windows) {
    text += area(scale, window->origin.row, band_of(*window));
  }
  text += line(scale, first, past, "actual");
  for (const StudyWindow* window : windows) {
    text += line(scale, window->origin.row, window->forecasts.at("drift_seasonal"), "baseline");
    text += line(scale, window->origin.row, window->forecasts.at("tcn"), "tcn");
  }
  return text + "</svg>\n";
}

}  // namespace warptape::forecasting
