#pragma once
// What a study has learnt, in a file, and forecasts by it.

#include <cstdint>
#include <string>
#include <vector>

#include "training/forecast/study.h"

namespace warptape::forecasting {

struct SavedForecasters {
  SeriesOptions columns;             // that the series were made of; horizon: of a forecast
  std::vector<SeriesScales> scales;  // of each series, by its name
  ForecasterOptions model;           // of all; its seed is the first one's
  std::vector<StateDict> models;     // of each seed
};

SavedForecasters saved_of(const Study& study, const SeriesOptions& columns);

// A safetensors file: the models' tensors as "models.0.linear.weight", the rest as JSON in its
// metadata.
void save_forecasters(const std::string& path, const SavedForecasters& saved);
// On the CPU. FileError with the path for what is no such file.
SavedForecasters load_forecasters(const std::string& path);

// What the models forecast behind the last row of each series of the data, which were read with
// saved.columns: of the study only options, model facts and `future` are there, without the linear
// regression. Scales are those of the series with the same name. ValueError for a series that was
// not learnt, with too few rows, or whose covariates are not known for the whole horizon. jobs:
// models side by side.
Study forecast_ahead(const SeriesSet& data, const SavedForecasters& saved, int64_t jobs = 1);

}  // namespace warptape::forecasting
