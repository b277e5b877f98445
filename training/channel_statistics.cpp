#include <array>
#include <cmath>

#include "training/image_loader.h"

namespace warptape {

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

}  // namespace warptape
