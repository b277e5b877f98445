#include <algorithm>
#include <array>
#include <cmath>

#include "training/image_loader.h"

namespace warptape {
namespace {

// Where one output row or column takes its two neighbours from, and the weight of the second.
struct Tap {
  int64_t first;
  int64_t second;
  double weight;
};

std::vector<Tap> bilinear_taps(int64_t in, int64_t out) {
  std::vector<Tap> taps;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    const double source = std::max(0.0, scale * (static_cast<double>(i) + 0.5) - 0.5);
    const auto first = std::min(static_cast<int64_t>(source), in - 1);
    taps.push_back({first, std::min(first + 1, in - 1), source - static_cast<double>(first)});
  }
  return taps;
}

// One image (C, H, W) of uint8 to (size, size, C).
template <class T>
void transform_image(const uint8_t* from, const Shape& images, const ImageTransform& transform,
                     const std::vector<Tap>& rows, const std::vector<Tap>& columns, T* to) {
  const int64_t channels = images[1];
  const int64_t height = images[2];
  const int64_t width = images[3];
  const bool same_size = height == transform.image_size && width == transform.image_size;
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = transform.mean[static_cast<size_t>(c)];
    const double std = transform.std[static_cast<size_t>(c)];
    const uint8_t* plane = from + c * height * width;
    if (same_size) {
      std::array<T, 256> table;
      for (size_t value = 0; value < table.size(); ++value) {
        table[value] = static_cast<T>((static_cast<double>(value) / 255 - mean) / std);
      }
      for (int64_t i = 0; i < height * width; ++i) {
        to[i * channels + c] = table[plane[i]];
      }
      continue;
    }
    for (size_t h = 0; h < rows.size(); ++h) {
      const uint8_t* upper = plane + rows[h].first * width;
      const uint8_t* lower = plane + rows[h].second * width;
      for (size_t w = 0; w < columns.size(); ++w) {
        const Tap& column = columns[w];
        const auto mix = [&](const uint8_t* row) {
          return (1 - column.weight) * (row[column.first] / 255.0) +
                 column.weight * (row[column.second] / 255.0);
        };
        const double value = (1 - rows[h].weight) * mix(upper) + rows[h].weight * mix(lower);
        const size_t pixel = h * columns.size() + w;
        to[static_cast<int64_t>(pixel) * channels + c] = static_cast<T>((value - mean) / std);
      }
    }
  }
}

}  // namespace

ChannelStatistics channel_statistics(const ImageSet& images, const std::vector<int64_t>& indices) {
  const Shape& shape = images.images.shape();
  const int64_t pixels = shape[2] * shape[3];
  const uint8_t* from = images.images.data<uint8_t>();
  ChannelStatistics result;
  for (int64_t c = 0; c < shape[1]; ++c) {
    std::array<int64_t, 256> histogram{};
    for (int64_t index : indices) {
      const uint8_t* plane = from + (index * shape[1] + c) * pixels;
      for (int64_t i = 0; i < pixels; ++i) {
        ++histogram[plane[i]];
      }
    }
    double sum = 0;
    double squares = 0;
    const double count = static_cast<double>(pixels) * static_cast<double>(indices.size());
    for (size_t value = 0; value < histogram.size(); ++value) {
      sum += static_cast<double>(histogram[value]) * (static_cast<double>(value) / 255);
    }
    const double mean = sum / count;
    for (size_t value = 0; value < histogram.size(); ++value) {
      const double difference = static_cast<double>(value) / 255 - mean;
      squares += static_cast<double>(histogram[value]) * difference * difference;
    }
    const double std = std::sqrt(squares / count);
    result.mean.push_back(mean);
    result.std.push_back(std > 1e-12 ? std : 1);
  }
  return result;
}

ImageBatch make_batch(const ImageSet& images, const int64_t* indices, int64_t count,
                      const ImageTransform& transform) {
  const Shape& shape = images.images.shape();
  const int64_t size = transform.image_size;
  ImageBatch batch;
  batch.images = Tensor::empty({count, shape[1], size, size}, transform.dtype, cpu,
                               MemoryFormat::ChannelsLast);
  batch.labels = Tensor::empty({count}, int64);
  const std::vector<Tap> rows = bilinear_taps(shape[2], size);
  const std::vector<Tap> columns = bilinear_taps(shape[3], size);
  const int64_t image_in = shape[1] * shape[2] * shape[3];
  const int64_t image_out = shape[1] * size * size;
  const uint8_t* from = images.images.data<uint8_t>();
  const int64_t* labels = images.labels.data<int64_t>();
  int64_t* to_labels = batch.labels.mutable_data<int64_t>();
  dispatch_floating(transform.dtype, [&]<class T>() {
    T* to = batch.images.mutable_data<T>();
    for (int64_t i = 0; i < count; ++i) {
      transform_image(from + indices[i] * image_in, shape, transform, rows, columns,
                      to + i * image_out);
      to_labels[i] = labels[indices[i]];
    }
  });
  return batch;
}

}  // namespace warptape
