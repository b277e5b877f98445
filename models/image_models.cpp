#include "models/image_models.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/check.h"

namespace warptape {
namespace {

std::vector<ImageModel>& models() {
  static std::vector<ImageModel> all = {
      mlp_model(),
      simple_cnn_model(),
  };
  return all;
}

const Tensor* find(const StateDict& state, const std::string& key) {
  const auto found =
      std::find_if(state.begin(), state.end(), [&](const auto& item) { return item.first == key; });
  return found == state.end() ? nullptr : &found->second;
}

}  // namespace

const std::vector<ImageModel>& image_models() {
  return models();
}

std::vector<std::string> image_model_names() {
  std::vector<std::string> names;
  for (const ImageModel& model : models()) {
    names.push_back(model.name);
  }
  return names;
}

const ImageModel& find_image_model(const std::string& name) {
  for (const ImageModel& model : models()) {
    if (model.name == name) {
      return model;
    }
  }
  throw ValueError(fmt::format("[model] got \"{}\", wanted one of {}", escaped(name),
                               fmt::join(image_model_names(), ", ")));
}

void add_image_model(ImageModel model) {
  const std::vector<std::string> names = image_model_names();
  check<ValueError>(std::find(names.begin(), names.end(), model.name) == names.end(),
                    "[add_image_model] got \"{}\", which is taken", escaped(model.name));
  models().push_back(std::move(model));
}

bool has_key(const StateDict& state, const std::string& key) {
  return find(state, key) != nullptr;
}

const Tensor* find_weight(const StateDict& state, const std::string& layer, int rank) {
  for (const char* key : {".weight_v", ".parametrizations.weight.original1", ".weight"}) {
    const Tensor* tensor = find(state, layer + key);
    if (tensor != nullptr && tensor->rank() == rank && tensor->numel() > 0) {
      return tensor;
    }
  }
  return nullptr;
}

}  // namespace warptape
