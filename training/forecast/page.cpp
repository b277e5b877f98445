// The page of a forecast: tables, and plots in SVG. Well-formed XML without anything from outside.

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/error.h"
#include "training/forecast/plot.h"
#include "training/forecast/report.h"

namespace warptape::forecasting {
namespace {

constexpr size_t most_plots = 24;  // series that are drawn

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
      plot_width, height);
  const auto x = [&](double value) { return 150 + value / most * (plot_width - 230); };
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
