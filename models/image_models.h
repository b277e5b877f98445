#pragma once
// The classifiers of images, by name.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/module.h"
#include "layers/state_dict.h"

namespace warptape {

struct ImageModelOptions {
  int64_t input_channels = 3;
  int64_t num_classes = 10;
  int64_t image_size = 32;
  bool weight_norm = true;
  DType dtype = float32;
};

// What a checkpoint's tensors tell about the model that they fit.
struct ImageModelTold {
  std::optional<int64_t> input_channels;
  std::optional<int64_t> num_classes;
  std::optional<int64_t> image_size;  // the smallest that fits
  int64_t image_size_step = 1;        // so many sizes from there on have the same shapes
  std::optional<DType> dtype;
  bool weight_norm = true;
};

// A model that takes images (N, input_channels, image_size, image_size) and returns logits
// (N, num_classes).
struct ImageModel {
  std::string name;  // "simple_cnn", as on the command line
  std::string description;
  std::function<std::unique_ptr<Module>(const ImageModelOptions&)> make;
  std::function<ImageModelTold(const StateDict&)> told_by;
};

// Those of models/, in the order of their names, and then what a program added.
const std::vector<ImageModel>& image_models();
std::vector<std::string> image_model_names();
const ImageModel& find_image_model(const std::string& name);  // ValueError lists the names
// A program's own, before it starts threads. ValueError for a name that is taken.
void add_image_model(ImageModel model);

// Each model's line in image_models.cpp; its own file defines it.
ImageModel mlp_model();
ImageModel simple_cnn_model();

// A tensor of this rank under one of the keys that a layer's weight may have, or null.
const Tensor* find_weight(const StateDict& state, const std::string& layer, int rank);
bool has_key(const StateDict& state, const std::string& key);

}  // namespace warptape
