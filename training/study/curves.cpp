#include "training/study/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace warptape::weight_norm_study {
namespace {

constexpr double width = 430;
constexpr double height = 260;
constexpr double left = 62;
constexpr double right = 12;
constexpr double top = 10;
constexpr double bottom = 28;

// Numbers as places between two ends.
class Axis {
 public:
  Axis(bool is_log, double begin, double end) : is_log_(is_log), begin_(begin), end_(end) {}
  bool has(double value) const { return std::isfinite(value) && (!is_log_ || value > 0); }
  void include(double value) {
    if (has(value)) {
      low_ = std::min(low_, placed(value));
      high_ = std::max(high_, placed(value));
    }
  }
  bool is_empty() const { return low_ > high_; }
  double at(double value) const {
    const double range = high_ > low_ ? high_ - low_ : 1;
    return begin_ + (placed(value) - low_) / range * (end_ - begin_);
  }
  // From end to end.
  double tick(int number, int last) const {
    const double place = low_ + (high_ - low_) * number / last;
    return is_log_ ? std::pow(10, place) : place;
  }

 private:
  double placed(double value) const { return is_log_ ? std::log10(value) : value; }

  bool is_log_;
  double begin_;
  double end_;
  double low_ = std::numeric_limits<double>::infinity();
  double high_ = -std::numeric_limits<double>::infinity();
};

struct Axes {
  Axis x;
  Axis y;
};

std::string point(const Axes& axes, double x, double y) {
  return fmt::format("{:.1f},{:.1f} ", axes.x.at(x), axes.y.at(y));
}

// The stretches of a curve without gaps, each as a line, with its band behind it.
std::string drawn(const Axes& axes, const Curve& curve) {
  std::string bands;
  std::string lines;
  for (size_t begin = 0; begin < curve.x.size();) {
    size_t end = begin;
    std::string middle;
    std::string edge;
    std::string back;
    const auto is_there = [&](size_t i) {
      return axes.y.has(curve.middle[i]) && axes.y.has(curve.low[i]) && axes.y.has(curve.high[i]);
    };
    for (; end < curve.x.size() && is_there(end); ++end) {
      middle += point(axes, curve.x[end], curve.middle[end]);
      edge += point(axes, curve.x[end], curve.low[end]);
      back.insert(0, point(axes, curve.x[end], curve.high[end]));
    }
    if (end > begin) {
      bands += fmt::format("<polygon class=\"{}\" points=\"{}{}\"/>\n", curve.kind, edge, back);
      lines += fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", curve.kind, middle);
    }
    begin = end + 1;
  }
  return bands + lines;
}

std::string ticks(const Axes& axes) {
  std::string text;
  for (int i = 0; i <= 4; ++i) {
    const double value = axes.y.tick(i, 4);
    text += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3g}</text>\n",
        left, width - right, axes.y.at(value), axes.y.at(value), left - 6, axes.y.at(value) + 4,
        value);
  }
  for (int i = 0; i <= 2; ++i) {
    const double value = axes.x.tick(i, 2);
    text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"{}\">{:.3g}</text>\n",
                        axes.x.at(value), height - 8,
                        i == 0   ? "start"
                        : i == 1 ? "middle"
                                 : "end",
                        value);
  }
  return text;
}

}  // namespace

std::string curve_plot(const CurvePlot& plot) {
  Axes axes{{plot.log_x, left, width - right}, {plot.log_y, height - bottom, top}};
  for (const Curve& curve : plot.curves) {
    for (size_t i = 0; i < curve.x.size(); ++i) {
      axes.x.include(curve.x[i]);
      for (const double value : {curve.middle[i], curve.low[i], curve.high[i]}) {
        axes.y.include(value);
      }
    }
  }
  std::string text =
      fmt::format("<figure id=\"{}\"><figcaption>{}</figcaption>\n", plot.id, plot.title);
  if (axes.x.is_empty() || axes.y.is_empty()) {
    return text + "<p>no numbers</p></figure>\n";
  }
  text += fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\">\n{}",
      width, height, plot.title, ticks(axes));
  for (const Curve& curve : plot.curves) {
    text += drawn(axes, curve);
  }
  return text + "</svg></figure>\n";
}

}  // namespace warptape::weight_norm_study
