#pragma once
// Plots of a forecast's page (report.h), and text in it.

#include <string>
#include <string_view>

#include "training/forecast/study.h"

namespace warptape::forecasting {

inline constexpr double plot_width = 860;

std::string as_text(std::string_view text);  // with what XML reserves escaped
std::string html(std::string_view text);     // the same of what a file or a user has named
std::string shown(double value);             // four digits, or a dash

// A series with its forecasts, as SVG.
std::string plot(const SeriesSet& data, const Study& study, size_t index);

}  // namespace warptape::forecasting
