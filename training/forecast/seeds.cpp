#include "training/forecast/seeds.h"

#include <algorithm>
#include <utility>

namespace warptape::forecasting {
namespace {

// Step by step, over the seeds.
Values median_path(const std::vector<const Values*>& paths) {
  Values result;
  for (size_t h = 0; h < paths[0]->size(); ++h) {
    std::vector<double> at_step;
    for (const Values* path : paths) {
      at_step.push_back((*path)[h]);
    }
    result.push_back(median_of(std::move(at_step)));
  }
  return result;
}

}  // namespace

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void add_tcn(std::vector<StudyWindow>& windows, const OfSeeds& of_seeds) {
  for (size_t i = 0; i < windows.size(); ++i) {
    std::vector<const Values*> points;
    for (const std::vector<WindowForecast>& seed : of_seeds) {
      windows[i].of_seeds.push_back(seed[i].point);
      points.push_back(&seed[i].point);
    }
    windows[i].forecasts["tcn"] = median_path(points);
    for (size_t level = 0; level < of_seeds[0][i].levels.size(); ++level) {
      std::vector<const Values*> paths;
      for (const std::vector<WindowForecast>& seed : of_seeds) {
        paths.push_back(&seed[i].levels[level]);
      }
      windows[i].levels.push_back(median_path(paths));
    }
  }
}

}  // namespace warptape::forecasting
