// The page of a profile. Well-formed XML without anything from outside.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "training/forecast/plot.h"
#include "training/profile/events.h"
#include "training/profile/shown.h"

namespace warptape::profiling {
namespace {

using forecasting::html;

constexpr double width = 860;

std::string begin_svg(double height, const char* label) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\">\n",
      width, height, label);
}

const char* class_of(profile::Phase phase) {
  return phase == profile::Phase::Backward ? "backward" : "forward";
}

// FLOPs per byte against TFLOP/s, both by decades.
std::string roofline(const Captured& captured, const Report& report) {
  const Ceilings& ceilings = captured.ceilings;
  struct Dot {
    double intensity;
    double rate;
    const OpRow* row;
  };
  std::vector<Dot> dots;
  for (const OpRow& row : report.ops) {
    if (row.figures.tflop_per_s() > 0 && row.figures.work->bytes() > 0) {
      const profile::Work& work = *row.figures.work;
      dots.push_back({static_cast<double>(work.flops) / static_cast<double>(work.bytes()),
                      row.figures.tflop_per_s(), &row});
    }
  }
  if (dots.empty() || ceilings.copy_gb_per_s <= 0 || ceilings.fma_tflop_per_s <= 0) {
    return "<p>No op tells both its bytes and its FLOPs, or no ceiling was measured.</p>\n";
  }
  double least_x = 0.1;
  double most_x = 1000;
  double most_y = ceilings.fma_tflop_per_s;
  double least_y = ceilings.fma_tflop_per_s / 1000;
  for (const Dot& dot : dots) {
    least_x = std::min(least_x, dot.intensity);
    most_x = std::max(most_x, dot.intensity);
    least_y = std::min(least_y, dot.rate);
    most_y = std::max(most_y, dot.rate);
  }
  constexpr double height = 380;
  constexpr double left = 70;
  constexpr double bottom = height - 40;
  const auto decade = [](double value, bool up) {
    return up ? std::ceil(std::log10(value)) : std::floor(std::log10(value));
  };
  const double x0 = decade(least_x, false);
  const double x1 = decade(most_x, true);
  const double y0 = decade(least_y, false);
  const double y1 = decade(most_y * 1.0001, true);
  const auto x = [&](double value) {
    return left + (std::log10(value) - x0) / (x1 - x0) * (width - left - 20);
  };
  const auto y = [&](double value) {
    return bottom - (std::log10(value) - y0) / (y1 - y0) * (bottom - 15);
  };
  std::string text = begin_svg(height, "Roofline");
  for (double e = x0; e <= x1; ++e) {
    const double at = x(std::pow(10, e));
    text += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" y1=\"15\" x2=\"{0:.1f}\" y2=\"{1:.1f}\"/>"
        "<text x=\"{0:.1f}\" y=\"{2:.1f}\" text-anchor=\"middle\">{3:g}</text>\n",
        at, bottom, bottom + 16, std::pow(10, e));
  }
  for (double e = y0; e <= y1; ++e) {
    const double at = y(std::pow(10, e));
    text += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" y1=\"{1:.1f}\" x2=\"{2}\" y2=\"{1:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:g}</text>\n",
        left, at, width - 20, left - 8, at + 4, std::pow(10, e));
  }
  text += fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">FLOPs per byte that has to "
      "move</text><text x=\"{}\" y=\"11\">TFLOP/s</text>\n",
      (left + width) / 2, height - 6, left + 6);
  const double ridge = ceilings.fma_tflop_per_s * 1e12 / (ceilings.copy_gb_per_s * 1e9);
  const double slope_from = std::pow(10, x0);
  const auto by_copy = [&](double intensity) {
    return ceilings.copy_gb_per_s * 1e9 * intensity / 1e12;
  };
  const double first =
      std::max(slope_from, std::pow(10, y0) * 1e12 / (ceilings.copy_gb_per_s * 1e9));
  const double corner = std::clamp(ridge, first, std::pow(10, x1));
  text += fmt::format(
      "<polyline class=\"roof\" points=\"{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}\"/>\n", x(first),
      y(by_copy(first)), x(corner), y(std::min(by_copy(corner), ceilings.fma_tflop_per_s)),
      x(std::pow(10, x1)), y(std::min(by_copy(std::pow(10, x1)), ceilings.fma_tflop_per_s)));
  const double most_ms = dots.front().row->figures.ms;
  for (const Dot& dot : dots) {
    const double share = most_ms > 0 ? dot.row->figures.ms / most_ms : 0;
    text += fmt::format(
        "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"><title>{}: {:.4f} ms, "
        "{:.4g} "
        "TFLOP/s, {:.3g} FLOPs per byte</title></circle>\n",
        class_of(dot.row->phase), x(dot.intensity), y(dot.rate), 3 + 7 * std::sqrt(share),
        html(place_of(op_name(dot.row->op, dot.row->phase), dot.row->layer)), dot.row->figures.ms,
        dot.rate, dot.intensity);
  }
  return text + "</svg>\n";
}

// The last step: ops of the host by depth, below them the device's streams.
std::string timeline(const Captured& captured) {
  const Events events(captured);
  if (events.steps().empty()) {
    return "";
  }
  const profile::Event& step = *events.steps().back();
  const int64_t last = events.step_of(step);
  int64_t end = step.start_ns + step.duration_ns;
  std::vector<const gpu::Activity*> activities;
  uint64_t streams = 0;
  for (const gpu::Activity& activity : captured.activities) {
    const profile::Event* event = events.find(activity.range);
    if (activity.kind != gpu::Activity::Kind::Range && event != nullptr &&
        events.step_of(*event) == last) {
      activities.push_back(&activity);
      end = std::max(end, activity.start_ns + activity.duration_ns);
      streams = std::max(streams, activity.stream);
    }
  }
  int deepest = step.depth;
  for (const profile::Event* event : events.of_steps()) {
    deepest = std::max(deepest, event->depth);
  }
  constexpr double lane = 22;
  constexpr double left = 60;
  const double host_lanes = deepest - step.depth + 1;
  const double height = (host_lanes + static_cast<double>(streams)) * lane + 40;
  const double scale =
      (width - left - 10) / static_cast<double>(std::max<int64_t>(end - step.start_ns, 1));
  std::string text = begin_svg(height, "The last step");
  const auto bar = [&](double row, int64_t start, int64_t duration, const char* kind,
                       const std::string& label, const std::string& title) {
    const double at = left + static_cast<double>(start - step.start_ns) * scale;
    const double wide = std::max(static_cast<double>(duration) * scale, 0.3);
    text += fmt::format(
        "<g><rect class=\"{}\" x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\"/>", kind,
        at, row * lane + 4, wide, lane - 4);
    if (wide > 6.5 * static_cast<double>(label.size()) + 4) {
      text += fmt::format("<text class=\"in\" x=\"{:.2f}\" y=\"{:.1f}\">{}</text>", at + 3,
                          row * lane + 17, html(label));
    }
    text += fmt::format("<title>{}: {:.4f} ms</title></g>\n", html(title),
                        static_cast<double>(duration) / 1e6);
  };
  text += "<text x=\"4\" y=\"17\">host</text>\n";
  for (const profile::Event* event : events.of_steps()) {
    if (events.step_of(*event) == last && event->thread == step.thread) {
      bar(event->depth - step.depth, event->start_ns, event->duration_ns,
          event->depth == step.depth ? "whole" : class_of(event->phase), event->name,
          place_of(event->name, events.layer_of(*event)));
    }
  }
  for (uint64_t stream = 1; stream <= streams; ++stream) {
    text += fmt::format("<text x=\"4\" y=\"{:.1f}\">stream {}</text>\n",
                        (host_lanes + static_cast<double>(stream) - 1) * lane + 17, stream);
  }
  for (const gpu::Activity* activity : activities) {
    const profile::Event& event = *events.find(activity->range);
    bar(host_lanes + static_cast<double>(activity->stream) - 1, activity->start_ns,
        activity->duration_ns,
        activity->kind == gpu::Activity::Kind::Kernel ? class_of(event.phase) : "copy",
        activity->name, activity->name + " of " + place_of(event.name, events.layer_of(event)));
  }
  text += fmt::format(
      "<text x=\"{}\" y=\"{:.1f}\">0</text><text x=\"{}\" y=\"{:.1f}\" "
      "text-anchor=\"end\">{:.3f} ms</text>\n",
      left, height - 8, width - 10, height - 8, static_cast<double>(end - step.start_ns) / 1e6);
  return text + "</svg>\n";
}

std::string memory_plot(const Memory& memory) {
  if (memory.timeline.empty() || memory.peak_bytes <= 0) {
    return "<p>No memory was allocated.</p>\n";
  }
  constexpr double height = 200;
  constexpr double left = 60;
  const double end = std::max(memory.timeline.back().first, 1e-9);
  const auto x = [&](double ms) { return left + ms / end * (width - left - 10); };
  const auto y = [&](double bytes) {
    return height - 25 - bytes / static_cast<double>(memory.peak_bytes) * (height - 45);
  };
  std::string text = begin_svg(height, "Memory of the last step");
  std::string points;
  double before = y(static_cast<double>(memory.timeline.front().second));
  for (const auto& [ms, bytes] : memory.timeline) {
    points += fmt::format("{:.1f},{:.1f} ", x(ms), before);
    before = y(static_cast<double>(bytes));
    points += fmt::format("{:.1f},{:.1f} ", x(ms), before);
  }
  points.pop_back();
  text += fmt::format("<polyline class=\"memory\" points=\"{}\"/>\n", points);
  text += fmt::format(
      "<circle class=\"backward\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>"
      "<text x=\"{:.1f}\" y=\"14\" text-anchor=\"middle\">{:.1f} MB</text>"
      "<text x=\"{}\" y=\"{}\">0</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.3f} "
      "ms</text>\n",
      x(memory.peak_ms), y(static_cast<double>(memory.peak_bytes)),
      std::clamp(x(memory.peak_ms), left + 30, width - 40),
      static_cast<double>(memory.peak_bytes) / 1e6, left, height - 8, width - 10, height - 8, end);
  text +=
      "</svg>\n<table id=\"holders\"><tr><th>held at the peak by</th><th>blocks</th><th>MB</th>"
      "</tr>\n";
  for (const Holder& holder : memory.holders) {
    text += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.3f}</td></tr>\n",
                        html(place_of(holder.what, holder.layer)), holder.blocks,
                        static_cast<double>(holder.bytes) / 1e6);
  }
  return text + "</table>\n";
}

template <class Rows, class Name>
std::string table(const Captured& captured, const Report& report, const char* id, const char* first,
                  const Rows& rows, const Name& name) {
  std::string text = fmt::format(
      "<table id=\"{}\"><tr><th>{}</th><th>calls</th><th>ms</th><th>%</th><th>MB</th><th>MFLOP</th>"
      "<th>GB/s</th><th>TFLOP/s</th><th>of copy, %</th><th>of FMA, %</th></tr>\n",
      id, first);
  const double base = std::max(time_base(report), 1e-12);
  for (const auto& row : rows) {
    const Shown shown(captured.ceilings, row.figures);
    text += fmt::format(
        "<tr><td>{}</td><td>{:.4g}</td><td>{:.4f}</td><td>{:.1f}</td><td>{}</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        html(name(row)), row.figures.calls, row.figures.ms, 100 * row.figures.ms / base,
        shown.megabytes, shown.megaflops, shown.gb_per_s, shown.tflop_per_s, shown.of_copy,
        shown.of_fma);
  }
  return text + "</table>\n";
}

constexpr const char* style = R"(
body { font: 15px/1.45 system-ui, sans-serif; max-width: 980px; margin: 2em auto; padding: 0 1em;
  color: #1c2430; background: #fff; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #d8dde4; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; font-size: 12px; }
svg text { fill: #556070; } svg text.in { fill: #1c2430; font-size: 11px; }
polyline { fill: none; stroke-width: 1.8; }
.grid { stroke: #e6e9ee; } .roof { stroke: #1c2430; } .memory { stroke: #3a7ca5; }
.forward { fill: #9db9cc; } .backward { fill: #e3a3ab; } .copy { fill: #d9c27c; }
.whole { fill: #e6e9ee; } circle { fill-opacity: .8; stroke: #556070; stroke-width: .5; }
.key span { margin-right: 1.5em; padding: 0 .4em; }
.warning { color: #9c2f3f; }
)";

}  // namespace

std::string as_page(const Captured& captured, const Report& report) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head>"
      "<meta charset=\"utf-8\"/><title>Profile of {0}</title>\n<style>{1}</style></head>\n<body>\n"
      "<h1>Profile of {0}</h1>\n<pre>{2}</pre>\n",
      html(title_of(captured)), style, html(summary_of(captured, report)));
  if (captured.is_emulated) {
    text +=
        "<p class=\"warning\">Emulated: times are the host's and say nothing about any GPU.</p>\n";
  }
  text +=
      "<p class=\"key\"><span class=\"key-forward\" style=\"background:#9db9cc\">forward</span>"
      "<span style=\"background:#e3a3ab\">backward</span>"
      "<span style=\"background:#d9c27c\">copies, fills</span></p>\n";
  text +=
      "<h2>Roofline</h2>\n<p>A dot is an op of a layer; the larger, the more of the step it "
      "takes. The line is what a plain copy and multiplications in registers reach.</p>\n" +
      roofline(captured, report);
  text += "<h2>The last step</h2>\n" + timeline(captured);
  text += "<h2>Ops</h2>\n<p>Per step, without the ops inside of them.</p>\n" +
          table(captured, report, "ops", "op", report.ops,
                [](const OpRow& row) { return place_of(op_name(row.op, row.phase), row.layer); });
  if (!report.kernels.empty()) {
    text += "<h2>Kernels, copies and fills</h2>\n" +
            table(captured, report, "kernels", "kernel", report.kernels, [](const KernelRow& row) {
              return row.kernel + " of " + place_of(op_name(row.op, row.phase), row.layer);
            });
  }
  text += "<h2>Memory of the last step</h2>\n" + memory_plot(report.memory);
  return text + "</body></html>\n";
}

}  // namespace warptape::profiling
