#pragma once
// Series as a model of sequences takes them.

#include <vector>

#include "core/tensor.h"
#include "training/task_metadata.h"
#include "training/ts_file.h"

namespace warptape {

// Mean and standard deviation of each channel over the steps of these series (1 for a constant
// one).
void measure_channels(const TsFile& file, const std::vector<int64_t>& rows,
                      SeriesMetadata& metadata);

// The series normalised as the metadata say, one behind the other, padded with zeros at their ends
// to the longest: (N, channels, L).
Tensor padded_series(const TsFile& file, const SeriesMetadata& metadata, DType dtype);

// The class of each series by these names. FileError for a name of the file's that is not among
// them, if a series has it.
std::vector<int64_t> labels_of(const TsFile& file, const std::string& path,
                               const std::vector<std::string>& classes);

// The outputs of every step (N, L, K) as one for each series, of so many steps each: (N, K).
Tensor pooled(const Tensor& outputs, const TsFile& file, const SeriesMetadata& metadata);

}  // namespace warptape
