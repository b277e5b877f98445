#include "kernels/image_batch/image_batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

constexpr double means[] = {0.3, 0.45, 0.6};
constexpr double stds[] = {0.25, 0.5, 0.2};

ImageTransform transform_to(int64_t size, int64_t channels, DType dtype) {
  return {.image_size = size,
          .mean = {means, means + channels},
          .std = {stds, stds + channels},
          .dtype = dtype};
}

// Inputs: pixels and labels as int64, indices, and one element whose dtype the result gets.
ImageBatch run(const std::vector<Operand>& in, int64_t size) {
  return image_batch(primitives::cast(in[0].tensor(), uint8), in[1].tensor(), in[2].tensor(),
                     transform_to(size, in[0].shape()[1], in[3].dtype()));
}

Plain plain(const Tensor& tensor) {
  return Plain(primitives::cast(tensor, float64));
}

Tensor images_reference(const std::vector<Tensor>& in, int64_t size) {
  const Plain images = plain(in[0]);
  const Plain indices = plain(in[2]);
  const int64_t channels = images.size(1);
  Plain y({indices.size(0), channels, size, size});
  const auto place = [&](int64_t i, int64_t extent) {
    const double scale = static_cast<double>(extent) / static_cast<double>(size);
    return std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
  };
  const auto weight = [](double at, int64_t i) {
    return std::max(0.0, 1 - std::abs(at - static_cast<double>(i)));
  };
  for (int64_t n = 0; n < y.size(0); ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t h = 0; h < size; ++h) {
        for (int64_t w = 0; w < size; ++w) {
          // Beyond the last row or column the last one counts.
          const double row = std::min(place(h, images.size(2)), images.size(2) - 1.0);
          const double column = std::min(place(w, images.size(3)), images.size(3) - 1.0);
          double sum = 0;
          for (int64_t i = 0; i < images.size(2); ++i) {
            for (int64_t j = 0; j < images.size(3); ++j) {
              sum += weight(row, i) * weight(column, j) *
                     images(static_cast<int64_t>(indices(n)), c, i, j);
            }
          }
          y(n, c, h, w) = (sum / 255 - means[c]) / stds[c];
        }
      }
    }
  }
  return y.tensor();
}

// Pixels of half the side become images of this shape.
PreparedKernels measured(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 4 && shape[2] == shape[3] && shape[2] % 2 == 0,
                    "[kernel] image_batch: got shape {}, wanted (N, C, S, S) with an even S",
                    shape);
  const Shape pixels = {shape[0], shape[1], shape[2] / 2, shape[2] / 2};
  std::vector<int64_t> all(static_cast<size_t>(shape[0]));  // each image once, as counted
  std::iota(all.begin(), all.end(), int64_t{0});
  const Tensor numbers = tensor(all, {shape[0]}, cuda);
  ImageTransform transform{.image_size = shape[2], .dtype = dtype};
  transform.mean.resize(static_cast<size_t>(shape[1]), 0.5);
  transform.std.resize(static_cast<size_t>(shape[1]), 0.25);
  return {[images = Tensor::full(pixels, 7, uint8, cuda), numbers, transform] {
            image_batch(images, numbers, numbers, transform);
          },
          pixels.numel() + bytes_of(shape, dtype) + 3 * bytes_of({shape[0]}, int64),
          bytes_of(shape, dtype)};
}

}  // namespace

void image_batch_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& images, int64_t batch, int64_t size) {
    const int64_t count = images[0];
    const CaseInput pixels{
        .shape = images, .fill = Fill::Labels, .classes = 256, .one_format = true};
    const CaseInput labels{.shape = {count}, .fill = Fill::Labels, .classes = 1000};
    const CaseInput indices{.shape = {batch}, .fill = Fill::Labels, .classes = count};
    table.cases.push_back(
        {.name = name,
         .inputs = {pixels, labels, indices, {.shape = {1}}},
         .run = [size](const std::vector<Operand>& in) { return run(in, size).images; },
         .reference = [size](const std::vector<Tensor>& in) { return images_reference(in, size); },
         .differentiable = false});
  };
  add("same_size", {5, 3, 8, 8}, 7, 8);
  add("same_size_odd", {3, 1, 5, 5}, 2, 5);
  add("larger", {4, 1, 7, 7}, 5, 8);
  add("larger_of_three_channels", {4, 3, 6, 5}, 3, 11);
  add("smaller", {2, 2, 9, 17}, 3, 4);
  add("height_as_wanted", {3, 2, 8, 5}, 2, 8);
  add("width_as_wanted", {3, 3, 5, 8}, 2, 8);
  add("in_bands", {2, 1, 9, 20}, 2, 80);           // 6,400 elements: two bands
  add("where_pixels_lie", {1, 3, 96, 96}, 2, 12);  // 27 KB are not staged
  add("one_pixel", {3, 1, 1, 1}, 3, 2);
  add("empty", {3, 1, 4, 4}, 0, 4);
  OpCase of_labels = table.cases.front();
  of_labels.name = "labels";
  of_labels.run = [](const std::vector<Operand>& in) {
    return primitives::cast(run(in, 8).labels, float64);
  };
  of_labels.reference = [](const std::vector<Tensor>& in) {
    const Plain labels = plain(in[1]);
    Plain y = plain(in[2]);
    for (int64_t n = 0; n < y.numel(); ++n) {
      y[n] = labels[static_cast<int64_t>(y[n])];
    }
    return y.tensor();
  };
  of_labels.tolerance = Tolerance::Exact;
  table.cases.push_back(std::move(of_labels));

  const auto fails = [&](const char* name, const Shape& images, DType dtype,
                         const ImageTransform& transform, int64_t index,
                         const std::vector<std::string>& mentions) {
    table.errors.push_back({name,
                            [=] {
                              image_batch(Tensor::zeros(images, dtype),
                                          Tensor::zeros({images[0]}, int64),
                                          tensor<int64_t>({index}, {1}), transform);
                            },
                            mentions});
  };
  fails("images", {2, 1, 4}, uint8, {}, 0, {"[image_batch] images", "(2, 1, 4)", "(N, C, H, W)"});
  fails("images_dtype", {2, 1, 4, 4}, float32, {}, 0, {"[image_batch] images", "float32", "uint8"});
  fails("channels", {1, 17, 2, 2}, uint8, {}, 0, {"[image_batch] channels", "17", "1 to 16"});
  fails("mean", {2, 3, 4, 4}, uint8, {}, 0, {"[image_batch] mean", "wanted 3"});
  fails("index", {2, 1, 4, 4}, uint8, {}, 2, {"[image_batch] index 0", "got 2", "0 to 1"});
  fails("image_size", {2, 1, 4, 4}, uint8, {.image_size = 0}, 0, {"image_size", "got 0"});
  table.measured.push_back(
      {"image_batch", "resized to twice the side", {128, 3, 32, 32}, measured});
}

}  // namespace warptape
