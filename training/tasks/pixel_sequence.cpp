// Images as sequences of their pixels, line by line: (sequential and permuted) MNIST and the like.

#include "core/check.h"
#include "training/image_data.h"
#include "training/image_loader.h"
#include "training/permutation.h"
#include "training/task_metadata.h"
#include "training/tasks/sequences.h"

namespace warptape {
namespace {

struct Options {
  int64_t permute = 0;
};

OptionList<Options> list_of_options() {
  return OptionList<Options>()("permute", &Options::permute, rules::not_negative,
                               "seed of an order of the pixels, the same for all images; 0 keeps "
                               "theirs");
}

// (pixel / 255 - mean) / std, as (N, C, H W).
template <class T>
Tensor normalised(const Tensor& images, const ChannelStatistics& of,
                  const std::vector<int64_t>& order, DType dtype) {
  const int64_t channels = images.size(1);
  const auto length = static_cast<int64_t>(order.size());
  Tensor result = Tensor::empty({images.size(0), channels, length}, dtype);
  const uint8_t* pixels = images.data<uint8_t>();
  T* to = result.mutable_data<T>();
  for (int64_t line = 0; line < images.size(0) * channels; ++line) {
    const auto c = static_cast<size_t>(line % channels);
    for (int64_t t = 0; t < length; ++t) {
      const double value = pixels[order[static_cast<size_t>(t)]] / 255.0;
      to[t] = static_cast<T>((value - of.mean[c]) / of.std[c]);
    }
    pixels += length;
    to += length;
  }
  return result;
}

TaskParts make_pixel_sequence(Recipe& recipe, Device device) {
  const Options options = list_of_options().read(recipe.task.options);
  const ImageData data = load_image_data(recipe.data);
  const Split split = split_for(recipe, data.train.labels.numel());
  const ChannelStatistics statistics = channel_statistics(data.train, split.train);
  const Shape& shape = data.train.images.shape();
  const int64_t length = shape[2] * shape[3];
  std::vector<int64_t> order;
  if (options.permute > 0) {
    order = random_permutation(length, static_cast<uint64_t>(options.permute), Purpose::Pixels, 0);
  } else {
    for (int64_t t = 0; t < length; ++t) {
      order.push_back(t);
    }
  }
  const DType dtype = dtype_of(recipe);
  const auto set_of = [&](const ImageSet& set) {
    const Tensor input = dtype == float64 ? normalised<double>(set.images, statistics, order, dtype)
                                          : normalised<float>(set.images, statistics, order, dtype);
    return TensorDataset(input, set.labels);
  };
  return make_sequence_parts(
      recipe, device,
      {.kind = data.kind,
       .remark = fmt::format("images of {}x{}, {} classes{}", shape[2], shape[3], data.classes,
                             options.permute > 0 ? ", permuted" : ""),
       .train = set_of(data.train),
       .test = set_of(data.test),
       .output_size = data.classes,
       .loss = cross_entropy_loss(),
       .metric = accuracy(),
       .task_metadata = to_json(PixelMetadata{.mean = statistics.mean,
                                              .std = statistics.std,
                                              .permute = options.permute,
                                              .steps = length})});
}

}  // namespace

Task pixel_sequence_task() {
  return {.name = "sequence",
          .description = "classes of images, read pixel by pixel",
          .options = list_of_options().options(),
          .make = make_pixel_sequence};
}

}  // namespace warptape
