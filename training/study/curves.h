#pragma once
// Plots of curves with bands, as SVG.

#include <string>
#include <vector>

namespace warptape::weight_norm_study {

struct Curve {
  std::string kind = {};  // its class in the page's style
  std::vector<double> x = {};
  std::vector<double> middle = {};  // NaN: there is none
  std::vector<double> low = {};     // of the band
  std::vector<double> high = {};
};

struct CurvePlot {
  std::string title;
  std::string id;  // of the figure
  bool log_x = false;
  bool log_y = false;  // what is not above 0 has no place then
  std::vector<Curve> curves = {};
};

// A figure with its title. Curves have gaps where a number is not finite. Without any number it
// says so in place of a plot.
std::string curve_plot(const CurvePlot& plot);

}  // namespace warptape::weight_norm_study
