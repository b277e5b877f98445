#include "layers/weight_norm_keys.h"

#include <map>
#include <optional>
#include <set>

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/weight_norm/weight_norm.h"

namespace warptape {
namespace {

// What a key says of a pair: the path of the weight, and whether it is g's.
struct PartOfPair {
  std::string weight;
  bool is_g;
};

std::optional<PartOfPair> part_of_pair(const std::string& key) {
  for (const bool is_g : {true, false}) {
    const std::string suffix = is_g ? "_g" : "_v";
    if (key.size() > suffix.size() && key.ends_with(suffix)) {
      return PartOfPair{key.substr(0, key.size() - suffix.size()), is_g};
    }
    const std::string newer = is_g ? ".original0" : ".original1";
    const std::string marker = "parametrizations.";
    const size_t at = key.rfind(marker);
    const bool at_a_name = at == 0 || (at != std::string::npos && key[at - 1] == '.');
    if (at_a_name && key.ends_with(newer) && key.size() > at + marker.size() + newer.size()) {
      const size_t name = at + marker.size();
      return PartOfPair{key.substr(0, at) + key.substr(name, key.size() - newer.size() - name),
                        is_g};
    }
  }
  return std::nullopt;
}

struct KeyPair {
  const Tensor* g = nullptr;
  const Tensor* v = nullptr;

  std::optional<NormDim> dim() const {
    const bool both = g != nullptr && v != nullptr && v->rank() > 0;
    return both && is_floating(g->dtype()) && is_floating(v->dtype())
               ? NormDim::of_shapes(v->shape(), g->shape())
               : std::nullopt;
  }
};

// "a.b.weight" as "a.b.parametrizations.weight".
std::string newer_path(const std::string& weight) {
  const size_t dot = weight.rfind('.');
  const size_t name = dot == std::string::npos ? 0 : dot + 1;
  return weight.substr(0, name) + "parametrizations." + weight.substr(name);
}

}  // namespace

WithWeightNormKeys with_weight_norm_keys(const StateDict& state, WeightNormKeys keys) {
  std::map<std::string, KeyPair> pairs;
  for (const auto& [key, tensor] : state) {
    if (const auto part = part_of_pair(key)) {
      (part->is_g ? pairs[part->weight].g : pairs[part->weight].v) = &tensor;
    }
  }
  WithWeightNormKeys result;
  std::set<std::string> names;
  const auto add = [&](const std::string& key, const Tensor& tensor) {
    check<ValueError>(names.insert(key).second,
                      "[with_weight_norm_keys] {}: got two tensors that would have this key",
                      excerpt(key));
    result.state.emplace_back(key, tensor);
  };
  for (const auto& [key, tensor] : state) {
    const auto part = part_of_pair(key);
    const std::optional<NormDim> dim = part ? pairs.at(part->weight).dim() : std::nullopt;
    if (!dim) {
      add(key, tensor);
      continue;
    }
    const KeyPair& pair = pairs.at(part->weight);
    if (!part->is_g) {
      result.weights.push_back(part->weight);
    }
    if (keys == WeightNormKeys::Old) {
      add(part->weight + (part->is_g ? "_g" : "_v"), tensor);
    } else if (keys == WeightNormKeys::New) {
      add(newer_path(part->weight) + (part->is_g ? ".original0" : ".original1"), tensor);
    } else if (!part->is_g) {
      const Tensor w = weight_norm(primitives::cast(*pair.v, float64),
                                   primitives::cast(*pair.g, float64), {.dim = *dim});
      add(part->weight, primitives::cast(w, pair.v->dtype()));
    }
  }
  return result;
}

}  // namespace warptape
