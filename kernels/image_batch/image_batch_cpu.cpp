#include <array>

#include "kernels/image_batch/bilinear.h"
#include "kernels/image_batch/image_batch_kernels.h"

namespace warptape {
namespace {

std::vector<bilinear::Tap> taps(int64_t in, int64_t out) {
  std::vector<bilinear::Tap> result;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (int64_t i = 0; i < out; ++i) {
    result.push_back(bilinear::tap(static_cast<int>(i), static_cast<int>(in), scale));
  }
  return result;
}

// One channel of an image of the right size: 256 values are computed, and looked up.
template <class T>
void normalize_plane(const uint8_t* plane, int64_t pixels, double mean, double std,
                     int64_t channels, T* to) {
  std::array<T, 256> table;
  for (size_t value = 0; value < table.size(); ++value) {
    table[value] =
        static_cast<T>(bilinear::normalized(static_cast<double>(value) / 255.0, mean, std));
  }
  for (int64_t i = 0; i < pixels; ++i) {
    to[i * channels] = table[plane[i]];
  }
}

template <class T>
void resize_plane(const uint8_t* plane, int64_t width, const std::vector<bilinear::Tap>& rows,
                  const std::vector<bilinear::Tap>& columns, double mean, double std,
                  int64_t channels, T* to) {
  const auto pixel = [&](int64_t y, int64_t x) { return plane[y * width + x]; };
  for (const bilinear::Tap& row : rows) {
    for (const bilinear::Tap& column : columns) {
      const double value = bilinear::sample(row, column, pixel);
      *to = static_cast<T>(bilinear::normalized(value, mean, std));
      to += channels;
    }
  }
}

}  // namespace

void image_batch_cpu(const Tensor& images, const Tensor& labels, const Tensor& indices,
                     const ImageTransform& transform, ImageBatch& batch) {
  const int64_t channels = images.size(1);
  const int64_t height = images.size(2);
  const int64_t width = images.size(3);
  const int64_t size = transform.image_size;
  const bool same_size = height == size && width == size;
  const std::vector<bilinear::Tap> rows = taps(height, size);
  const std::vector<bilinear::Tap> columns = taps(width, size);
  const auto* index = indices.data<int64_t>();
  auto* to_labels = batch.labels.mutable_data<int64_t>();
  dispatch_floating(transform.dtype, [&]<class T>() {
    T* to = batch.images.mutable_data<T>();
    for (int64_t n = 0; n < indices.numel(); ++n) {
      to_labels[n] = labels.data<int64_t>()[index[n]];
      for (int64_t c = 0; c < channels; ++c) {
        const uint8_t* plane = images.data<uint8_t>() + (index[n] * channels + c) * height * width;
        const double mean = transform.mean[static_cast<size_t>(c)];
        const double std = transform.std[static_cast<size_t>(c)];
        T* to_plane = to + n * size * size * channels + c;
        if (same_size) {
          normalize_plane(plane, height * width, mean, std, channels, to_plane);
        } else {
          resize_plane(plane, width, rows, columns, mean, std, channels, to_plane);
        }
      }
    }
  });
}

}  // namespace warptape
