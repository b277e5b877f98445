#include "training/kept_updates.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/device/on_device.h"
#include "core/rounded_value.h"
#include "kernels/weight_norm/weight_norm.h"

namespace warptape {
namespace {

bool are_the_same(const Tensor& a, const Tensor& b) {
  return a.shares_storage_with(b) && a.raw_data() == b.raw_data() && a.numel() == b.numel();
}

// The number of the one of this value; -1 for none.
int64_t update_of(const std::vector<ParameterUpdate>& updates, const Tensor& value) {
  for (size_t i = 0; i < updates.size(); ++i) {
    if (are_the_same(updates[i].value, value)) {
      return static_cast<int64_t>(i);
    }
  }
  return -1;
}

}  // namespace

bool write_with(std::vector<ParameterUpdate>& updates, size_t at, KeptValue& kept) {
  ParameterUpdate& own = updates[at];
  if (dynamic_cast<RoundedValue*>(&kept) != nullptr) {
    const Tensor rounded = kept.tensor();
    if (own.value.dtype() == float32 && rounded.defined() && rounded.shape() == own.value.shape() &&
        rounded.device() == own.value.device() &&
        rounded.memory_format() == own.value.memory_format()) {
      own.rounded = rounded;
    }
    return own.rounded.defined();
  }
  if (own.constraint != Constraint::None) {
    return false;  // w is of the projected v
  }
  auto* const cache = dynamic_cast<WeightNormCache*>(&kept);
  const std::optional<WeightNormPlace> place = cache == nullptr ? std::nullopt : cache->place();
  if (!place || !are_the_same(place->v, own.value)) {
    return false;
  }
  NormalizedWeight weight{place->g, place->w, place->inv_norm, update_of(updates, place->g)};
  const bool is_free =  // a g that two weights share is updated once
      std::none_of(updates.begin(), updates.end(), [&](const ParameterUpdate& other) {
        return other.normalized && weight.update_of_g >= 0 &&
               other.normalized->update_of_g == weight.update_of_g;
      });
  bool can = false;
  on_device(
      "optimizer", own.value.device(), [] {}, [&] { can = step_can_normalize_cuda(own, weight); });
  if (can && is_free) {
    own.normalized = std::move(weight);
  }
  return own.normalized.has_value();
}

}  // namespace warptape
