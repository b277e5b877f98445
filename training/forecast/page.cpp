// The page of a forecast: tables, and plots in SVG. Well-formed XML without anything from outside.

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/error.h"
#include "training/forecast/report.h"

namespace warptape::forecasting {
namespace {

constexpr size_t most_plots = 24;  // series that are drawn

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

// What a file or a user has named.
std::string html(std::string_view text) {
  return as_text(escaped(text));
}

std::string shown(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "&#8211;";
}

// Rows and values of a plot, as places in it.
class Scale {
 public:
  static constexpr double width = 860;
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

std::string table(const Study& study) {
  std::string text =
      "<table id=\"errors\"><tr><th>forecast</th><th>MAPE, %</th><th>sMAPE, %</th><th>MAE</th>"
      "<th>RMSE</th><th>MASE</th></tr>\n";
  const auto row = [&](const std::string& name, const std::vector<std::string>& cells) {
    text += fmt::format("<tr><td>{}</td>", name);
    for (const std::string& cell : cells) {
      text += fmt::format("<td>{}</td>", cell);
    }
    text += "</tr>\n";
  };
  constexpr double Errors::*members[] = {&Errors::mape, &Errors::smape, &Errors::mae, &Errors::rmse,
                                         &Errors::mase};
  std::vector<std::string> cells;
  for (const auto member : members) {
    std::vector<double> of_seeds;
    for (const Errors& errors : study.tcn) {
      of_seeds.push_back(errors.*member);
    }
    const Spread spread = spread_of(of_seeds);
    cells.push_back(study.tcn.size() == 1 ? shown(spread.median)
                                          : fmt::format("{} ({} to {})", shown(spread.median),
                                                        shown(spread.min), shown(spread.max)));
  }
  row(fmt::format("TCN, {} seed{}", study.tcn.size(), study.tcn.size() == 1 ? "" : "s"), cells);
  for (const std::string& name : baseline_names()) {
    cells.clear();
    for (const auto member : members) {
      cells.push_back(shown(study.baselines.at(name).*member));
    }
    row(name, cells);
  }
  return text + "</table>\n";
}

// A bar for each method; of the TCN a dot for each seed.
std::string bars(const Study& study) {
  std::vector<double> of_seeds;
  for (const Errors& errors : study.tcn) {
    of_seeds.push_back(errors.mape);
  }
  const Spread spread = spread_of(of_seeds);
  std::vector<std::pair<std::string, double>> rows{{"tcn", spread.median}};
  double most = std::isfinite(spread.max) ? spread.max : 0;
  for (const std::string& name : baseline_names()) {
    rows.emplace_back(name, study.baselines.at(name).mape);
    most = std::isfinite(rows.back().second) ? std::max(most, rows.back().second) : most;
  }
  if (!(most > 0)) {
    return "";
  }
  const double height = 26.0 * static_cast<double>(rows.size()) + 8;
  std::string text = fmt::format(
      "<h2>MAPE</h2>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" "
      "role=\"img\" aria-label=\"MAPE of each forecast\">\n",
      Scale::width, height);
  const auto x = [&](double value) { return 150 + value / most * (Scale::width - 230); };
  for (size_t i = 0; i < rows.size(); ++i) {
    const double y = 26.0 * static_cast<double>(i) + 6;
    const auto& [name, value] = rows[i];
    text += fmt::format("<text x=\"142\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", y + 14, name);
    if (std::isfinite(value)) {
      text += fmt::format(
          "<rect class=\"{}\" x=\"150\" y=\"{:.1f}\" width=\"{:.1f}\" "
          "height=\"18\"/>",
          i == 0 ? "bar own" : "bar", y, x(value) - 150);
      const double behind = i == 0 && std::isfinite(spread.max) ? spread.max : value;
      text += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x(behind) + 8, y + 14,
                          shown(value));
    }
    if (i == 0 && std::isfinite(spread.median)) {
      for (const double seed : of_seeds) {
        text += fmt::format("<circle class=\"seed\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", x(seed),
                            y + 9);
      }
    }
    text += "\n";
  }
  return text + "</svg>\n";
}

constexpr const char* style = R"(
body { font: 15px/1.45 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em;
  color: #1c2430; background: #fff; }
table { border-collapse: collapse; }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #d8dde4; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; font-size: 12px; }
svg text { fill: #556070; }
polyline { fill: none; stroke-width: 1.6; }
.actual { stroke: #1c2430; } .tcn { stroke: #d1495b; stroke-width: 2.2; }
.baseline { stroke: #3a7ca5; stroke-dasharray: 5 3; } .band { fill: #d1495b; opacity: .18; }
.grid { stroke: #e6e9ee; } .split { stroke: #9aa4b1; stroke-dasharray: 2 3; }
.bar { fill: #9db9cc; } .own { fill: #e3a3ab; } .seed { fill: #d1495b; }
.key span { margin-right: 1.5em; }
)";

std::string details(const SeriesSet& data, const Study& study) {
  const StudyOptions& options = study.options;
  std::string text = fmt::format(
      "<h2>How it was made</h2>\n<p>{} training windows of {} rows, {} rows at once; season {}; "
      "head {}, {}; the model adds to: {}, of {}; {} epochs; {} parameters, receptive field "
      " {}. {} window{} of the test part, {} row{} apart.</p>\n",
      study.training_windows, *options.input, *options.chunk, *options.season,
      to_string(options.model.head), to_string(options.model.likelihood),
      to_string(options.model.residual), options.model.log ? "logarithms" : "the values",
      options.model.epochs, study.parameters, study.receptive_field, study.windows.size(),
      study.windows.size() == 1 ? "" : "s", options.stride, options.stride == 1 ? "" : "s");
  if (!study.trials.empty()) {
    text +=
        "<p>Chosen by forecasts of the last rows of the training part, without the test "
        "part:</p>\n<table id=\"trials\"><tr><th>adds to</th><th>values</th><th>epochs</th>"
        "<th>error</th></tr>\n";
    for (const Trial& trial : study.trials) {
      text += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                          to_string(trial.residual), trial.log ? "logarithms" : "as they are",
                          trial.epochs, shown(trial.error));
    }
    text += "</table>\n";
  }
  for (const std::string& warning : data.warnings) {
    text += "<p>Warning: " + html(warning) + "</p>\n";
  }
  return text + "<pre>" + as_text(study.model) + "</pre>\n";
}

}  // namespace

std::string forecast_page(const SeriesSet& data, const Study& study) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>"
      "<meta charset=\"utf-8\"/><title>Forecast of {}</title>\n<style>{}</style></head>\n<body>\n"
      "<h1>Forecast of {}</h1>\n<p>{} series; {} steps ahead.</p>\n",
      html(data.path), style, html(data.path), data.series.size(), study.options.horizon);
  text += table(study);
  text += bars(study);
  text += fmt::format(
      "<h2>Forecasts</h2>\n<p class=\"key\"><span style=\"color:#1c2430\">actual</span>"
      "<span style=\"color:#d1495b\">TCN, median of the seeds; band: {}</span>"
      "<span style=\"color:#3a7ca5\">drift_seasonal</span></p>\n",
      study.options.model.likelihood == Likelihood::Point
          ? std::string("all seeds")
          : fmt::format("levels {} to {}", study.options.model.levels.front(),
                        study.options.model.levels.back()));
  for (size_t i = 0; i < std::min(most_plots, data.series.size()); ++i) {
    text += plot(data, study, i);
  }
  if (data.series.size() > most_plots) {
    text += fmt::format("<p>The first {} of {} series are drawn; forecast.csv has all.</p>\n",
                        most_plots, data.series.size());
  }
  return text + details(data, study) + "</body></html>\n";
}

}  // namespace warptape::forecasting
