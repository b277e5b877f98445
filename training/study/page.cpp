// The page of a study.

#include "training/study/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "core/error.h"
#include "training/forecast/plot.h"
#include "training/study/curves.h"

namespace warptape::weight_norm_study {
namespace {

using forecasting::html;
using forecasting::shown;

constexpr const char* study_style = R"(
body { font: 15px/1.45 system-ui, sans-serif; max-width: 940px; margin: 2em auto; padding: 0 1em;
  color: #1c2430; background: #fff; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #d8dde4; }
th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; width: 48%; margin: 0 .5% 1em; vertical-align: top; }
svg { width: 100%; height: auto; font-size: 12px; }
svg text { fill: #556070; }
.grid { stroke: #e6e9ee; }
polyline { fill: none; stroke-width: 1.8; } polygon { opacity: .14; }
.key span { margin-right: 1.5em; font-weight: 600; }
.yes { background: #d9efdc; } .no { background: #f6d9d7; }
)";

// By Method: lines, bands and the key.
constexpr const char* colours[] = {"#1c2430", "#d1495b", "#8f3fa8",
                                   "#3a7ca5", "#4f8f4a", "#c98a1b"};

std::string colour_style() {
  std::string text;
  for (const Method method : all_methods()) {
    const char* const colour = colours[static_cast<size_t>(method)];
    text += fmt::format("polyline.{0} {{ stroke: {1}; }} polygon.{0} {{ fill: {1}; }}\n",
                        to_string(method), colour);
  }
  return text;
}

std::string key_of_colours(const StudyPlan& plan) {
  std::string text = "<p class=\"key\">";
  for (const Method method : plan.methods) {
    text += fmt::format("<span style=\"color:{}\">{}</span>", colours[static_cast<size_t>(method)],
                        to_string(method));
  }
  return text + "</p>\n";
}

struct Claim {
  const char* claim;
  const char* measure;
  Compared MethodSummary::*member;
};

std::vector<Claim> claims_of(const SubjectAnalysis& analysis) {
  const Claim accuracy = analysis.has_error
                             ? Claim{"accuracy", "final error", &MethodSummary::final_error}
                             : Claim{"accuracy", "final loss", &MethodSummary::final_loss};
  return {{"stability", "share of rates that failed", &MethodSummary::failures},
          {"speed", "epochs to the loss of plain", &MethodSummary::epochs_to_plain},
          {"speed", "seconds per step", &MethodSummary::seconds_per_step},
          accuracy};
}

std::string shown(const std::optional<Interval>& interval) {
  return interval ? fmt::format("{} to {}", shown(interval->low), shown(interval->high))
                  : "&#8211;";
}

std::string shown(const std::optional<double>& value) {
  return value ? shown(*value) : "&#8211;";
}

// A line of the table of claims, of a method that is not plain: visit(cells, verdict).
using VisitClaim = std::function<void(const std::vector<std::string>&, Verdict)>;
void visit_claims(const Results& results, const VisitClaim& visit) {
  for (const SubjectAnalysis& analysis : analyse(results)) {
    const std::string subject = subject_of(results.plan().recipes[analysis.recipe]);
    const MethodSummary& plain = analysis.methods.front();
    for (const Claim& claim : claims_of(analysis)) {
      for (auto method = analysis.methods.begin() + 1; method != analysis.methods.end(); ++method) {
        const Compared& of = (*method).*claim.member;
        const PairedDifference none{.mean = std::numeric_limits<double>::quiet_NaN()};
        const PairedDifference difference = of.difference.value_or(none);
        visit({claim.claim, subject, analysis.optimizer, to_string(method->method), claim.measure,
               shown((plain.*claim.member).mean), shown(of.mean), shown(difference.mean),
               shown(difference.interval), shown(difference.effect),
               shown(difference.effect_interval), std::to_string(difference.pairs),
               to_string(of.verdict)},
              of.verdict);
      }
    }
  }
}

std::string claims_table(const Results& results) {
  std::string text =
      "<table id=\"claims\"><tr><th>claim</th><th>model</th><th>optimizer</th><th>method</th>"
      "<th>measure</th><th>plain</th><th>method</th><th>difference</th><th>95 % interval</th>"
      "<th>effect</th><th>95 % interval</th><th>pairs</th><th>better?</th></tr>\n";
  visit_claims(results, [&](const std::vector<std::string>& cells, Verdict verdict) {
    text += fmt::format("<tr class=\"{}\">", to_string(verdict));
    for (const std::string& cell : cells) {
      text += fmt::format("<td>{}</td>", cell);
    }
    text += "</tr>\n";
  });
  return text + "</table>\n";
}

std::string with_spread(const Compared& compared) {
  return std::isfinite(compared.std)
             ? fmt::format("{} &#177; {}", shown(compared.mean), shown(compared.std))
             : shown(compared.mean);
}

std::string summary_table(const SubjectAnalysis& analysis) {
  std::string text =
      "<table class=\"summary\"><tr><th>method</th><th>best rate</th><th>runs</th>"
      "<th>diverged</th><th>not learned</th><th>final loss</th><th>final error</th>"
      "<th>epochs to plain's loss</th><th>ms per step</th></tr>\n";
  for (const MethodSummary& method : analysis.methods) {
    text += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        to_string(method.method), shown(method.learning_rate), method.runs, method.diverged,
        method.failed - method.diverged, with_spread(method.final_loss),
        with_spread(method.final_error), with_spread(method.epochs_to_plain),
        shown(1000 * method.seconds_per_step.mean));
  }
  return text + "</table>\n";
}

// Mean and range over values of seeds.
void add_point(Curve& curve, double x, const std::vector<double>& values) {
  std::vector<double> there;
  std::copy_if(values.begin(), values.end(), std::back_inserter(there),
               [](double value) { return std::isfinite(value); });
  const double nothing = std::numeric_limits<double>::quiet_NaN();
  curve.x.push_back(x);
  curve.middle.push_back(mean_of(there));
  curve.low.push_back(there.empty() ? nothing : *std::min_element(there.begin(), there.end()));
  curve.high.push_back(there.empty() ? nothing : *std::max_element(there.begin(), there.end()));
}

using OfRow = std::function<double(const EpochRow&)>;

std::string epoch_plot(const Results& results, const SubjectAnalysis& analysis, const char* title,
                       const char* name, bool is_log, const OfRow& of_row) {
  CurvePlot plot{.title = title,
                 .id = fmt::format("{}-{}-{}", analysis.recipe, analysis.optimizer, name),
                 .log_y = is_log};
  for (const MethodSummary& method : analysis.methods) {
    Curve curve{.kind = to_string(method.method)};
    for (int64_t epoch = 0; epoch <= results.plan().recipes[analysis.recipe].epochs; ++epoch) {
      std::vector<double> values;
      for (const size_t cell : method.cells) {
        const std::vector<EpochRow>& rows = results.rows(cell);
        if (static_cast<size_t>(epoch) < rows.size()) {
          values.push_back(of_row(rows[static_cast<size_t>(epoch)]));
        }
      }
      add_point(curve, static_cast<double>(epoch), values);
    }
    plot.curves.push_back(std::move(curve));
  }
  return curve_plot(plot);
}

// The loss at the end over the learning rate, of runs that did not diverge.
std::string rate_plot(const Results& results, const SubjectAnalysis& analysis) {
  CurvePlot plot{.title = "final loss by learning rate",
                 .id = fmt::format("{}-{}-rates", analysis.recipe, analysis.optimizer),
                 .log_x = true,
                 .log_y = true};
  for (const MethodSummary& method : analysis.methods) {
    std::map<double, std::vector<double>> by_rate;
    for (size_t i = 0; i < results.cells().size(); ++i) {
      const Cell& cell = results.cells()[i];
      if (cell.recipe == analysis.recipe && cell.optimizer == analysis.optimizer &&
          cell.method == method.method) {
        const EpochRow& last = results.rows(i).back();
        by_rate[cell.learning_rate].push_back(
            last.diverged ? std::numeric_limits<double>::quiet_NaN() : last.loss);
      }
    }
    Curve curve{.kind = to_string(method.method)};
    for (const auto& [rate, losses] : by_rate) {
      add_point(curve, rate, losses);
    }
    plot.curves.push_back(std::move(curve));
  }
  return curve_plot(plot);
}

std::string section(const Results& results, const SubjectAnalysis& analysis) {
  const Recipe& recipe = results.plan().recipes[analysis.recipe];
  std::string text = fmt::format("<h2>{}, {}</h2>\n", html(subject_of(recipe)), analysis.optimizer);
  text += summary_table(analysis) + key_of_colours(results.plan());
  const auto add = [&](const char* title, const char* name, bool is_log, const OfRow& of_row) {
    text += epoch_plot(results, analysis, title, name, is_log, of_row);
  };
  add("training loss by epoch", "train-loss", true, [](const EpochRow& r) { return r.train_loss; });
  add("evaluation loss by epoch", "loss", true, [](const EpochRow& r) { return r.loss; });
  if (analysis.has_error) {
    add("accuracy by epoch", "accuracy", false,
        [](const EpochRow& r) { return 1 - r.error.value_or(1); });
  }
  add("gradient norm by epoch", "gradient-norm", true,
      [](const EpochRow& r) { return r.gradient_norm; });
  add("||v|| by epoch", "v-norm", false, [](const EpochRow& r) { return r.v_norm; });
  add("effective step size by epoch", "effective-step", true,
      [](const EpochRow& r) { return r.effective_step; });
  return text + rate_plot(results, analysis);
}

constexpr const char* explanation =
    "<p>Every method is compared with plain weights on the same seeds, each at its own best rate: "
    "the one with the fewest diverged runs, then the least error (or loss) at the end, taken from "
    "the evaluation that is shown, so that all methods look a little better than they are. Less is "
    "better in every line: \"yes\" and \"no\" say that the whole 95 % interval of the paired "
    "difference (Student's t) lies below or above 0, \"open\" that it does not, or that there are "
    "too few pairs. The effect is the mean difference over the standard deviation of the "
    "differences, corrected for few pairs (Hedges). Intervals are of each line alone: of twenty "
    "lines without an effect one is expected to say yes or no. Diverged runs have no loss and form "
    "no pairs; stability counts them. Lines are means over seeds, bands run from the least to the "
    "greatest.</p>\n";

}  // namespace

std::string study_page(const Results& results) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>"
      "<meta charset=\"utf-8\"/><title>A study of weight norm</title>\n<style>{}{}</style></head>\n"
      "<body>\n<h1>A study of weight norm</h1>\n<p id=\"progress\">{} of {} runs.</p>\n",
      study_style, colour_style(), results.finished(), results.cells().size());
  text += explanation + claims_table(results);
  for (const SubjectAnalysis& analysis : analyse(results)) {
    text += section(results, analysis);
  }
  return text + "<h2>The plan</h2>\n<pre>" + forecasting::as_text(to_json(results.plan())) +
         "</pre>\n</body></html>\n";
}

std::string claims_text(const Results& results) {
  std::string text;
  visit_claims(results, [&](const std::vector<std::string>& cells, Verdict verdict) {
    text += fmt::format("{:<10} {:<18} {:<5} {:<21} {:<27} {}\n", cells[0], cells[1], cells[2],
                        cells[3], cells[4], to_string(verdict));
  });
  return text;
}

}  // namespace warptape::weight_norm_study
