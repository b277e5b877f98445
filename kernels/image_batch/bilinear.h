#pragma once
// The arithmetic of a pixel, written once for the CPU and for CUDA kernels.

#include "core/simt/host_device.h"

namespace warptape::bilinear {

// Where one output row or column takes its two neighbours from, and the weight of the second.
struct Tap {
  int first;
  int second;
  double weight;
};

// Of output i, where the input has `in` rows (or columns) and the output in / scale.
WARPTAPE_HOST_DEVICE inline Tap tap(int i, int in, double scale) {
  const double centre = scale * (static_cast<double>(i) + 0.5) - 0.5;
  const double source = centre > 0 ? centre : 0;
  int first = static_cast<int>(source);
  first = first < in ? first : in - 1;
  const int second = first + 1 < in ? first + 1 : in - 1;
  return {first, second, source - static_cast<double>(first)};
}

WARPTAPE_HOST_DEVICE inline double mix(double first, double second, double weight) {
  return (1 - weight) * first + weight * second;
}

// pixel(row, column) is a value of 0 to 255.
template <class Pixel>
WARPTAPE_HOST_DEVICE double sample(const Tap& row, const Tap& column, const Pixel& pixel) {
  const auto along_row = [&](int y) {
    return mix(pixel(y, column.first) / 255.0, pixel(y, column.second) / 255.0, column.weight);
  };
  return mix(along_row(row.first), along_row(row.second), row.weight);
}

WARPTAPE_HOST_DEVICE inline double normalized(double value, double mean, double std) {
  return (value - mean) / std;
}

}  // namespace warptape::bilinear
