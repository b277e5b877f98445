#pragma once
// The parts of a study (study.h).

#include <cstdint>
#include <functional>
#include <vector>

#include "training/forecast/study.h"

namespace warptape::forecasting {

// Error if a study has been asked to stop.
void check_running(const StudyCallbacks& callbacks);

// Adds windows of so many steps whose values lie in rows begin, ..., end - 1.
void add_origins(std::vector<Origin>& origins, size_t series, int64_t begin, int64_t end,
                 int64_t steps, int64_t stride);

// Tries every kind of model on the last rows of the training part: windows as long as the chunk or
// a season, as many as a season has rows, so that each of its rows begins one. Takes the best into
// options. Where rows are too few to hold some out, the first kind is taken untried.
std::vector<Trial> choose(const SeriesSet& data, StudyOptions& options,
                          const std::vector<int64_t>& train_rows, const StudyCallbacks& callbacks);

}  // namespace warptape::forecasting
