#pragma once
// The forecasts of several seeds' models as one.

#include <vector>

#include "training/forecast/study.h"

namespace warptape::forecasting {

double median_of(std::vector<double> values);

// What each seed's model forecasts for a set of windows.
using OfSeeds = std::vector<std::vector<WindowForecast>>;

// Puts them into the windows, with their medians step by step.
void add_tcn(std::vector<StudyWindow>& windows, const OfSeeds& of_seeds);

}  // namespace warptape::forecasting
