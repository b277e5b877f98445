#pragma once
// How a report's figures are written, in text and on the page.

#include <string>

#include "training/profile/step_profile.h"

namespace warptape::profiling {

const char* name_of(profile::Phase phase);                                // "forward"
std::string place_of(const std::string& what, const std::string& layer);  // "layers.1: conv2d"
std::string op_name(const std::string& op, profile::Phase phase);         // "conv2d backward"

// "-" where a figure is not known.
struct Shown {
  Shown(const Ceilings& ceilings, const Figures& figures);
  std::string megabytes = "-";
  std::string megaflops = "-";
  std::string gb_per_s = "-";
  std::string tflop_per_s = "-";
  std::string of_copy = "-";  // percent
  std::string of_fma = "-";
};

double time_base(const Report& report);  // what shares of time are of: the sum of the ops
std::string title_of(const Captured& captured);
std::string summary_of(const Captured& captured, const Report& report);  // lines

}  // namespace warptape::profiling
