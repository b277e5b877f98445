#include "kernels/regions/regions_kernels.h"

namespace warptape {
namespace {

// Appends a dimension, or merges it with the one around it, whose steps are then of whole inner
// dimensions.
void append(PlacePlan& plan, int64_t extent, int64_t begin, int64_t step, int64_t count,
            int64_t stride) {
  const bool whole = count == extent && step == 1;
  const int last = plan.rank - 1;
  if (plan.rank > 0 && whole && plan.step[last] == 1 &&
      (plan.count[last] == 1 || plan.stride[last] == stride * extent)) {
    plan.extent[last] *= extent;
    plan.begin[last] *= extent;
    plan.count[last] *= extent;
    plan.stride[last] = stride;
    return;
  }
  plan.extent[plan.rank] = extent;
  plan.begin[plan.rank] = begin;
  plan.step[plan.rank] = count > 1 ? step : 1;
  plan.count[plan.rank] = count;
  plan.stride[plan.rank] = stride;
  ++plan.rank;
}

bool fits(const PlacePlan& plan, int pack) {
  const int last = plan.rank - 1;
  bool result = plan.rank > 0 && plan.step[last] == 1 && plan.stride[last] == 1 &&
                plan.extent[last] % pack == 0 && plan.begin[last] % pack == 0 &&
                plan.count[last] % pack == 0;
  for (int d = 0; d < last; ++d) {
    result = result && plan.stride[d] % pack == 0;
  }
  return result;
}

}  // namespace

PlacePlan place_plan(const Box& box, const Region& source, const Shape& target, MemoryFormat format,
                     int pack) {
  PlacePlan plan;
  const auto append_dim = [&](int d) {
    const auto i = static_cast<size_t>(d);
    if (target[d] > 1) {
      append(plan, target[d], box.begin[i], box.step[i], box.sizes[d], source.strides[i]);
    }
  };
  const bool channels_last = normalized(format, target.rank()) == MemoryFormat::ChannelsLast;
  for (int d = 0; d < target.rank(); ++d) {
    if (!(channels_last && d == 1)) {
      append_dim(d);
    }
  }
  if (channels_last) {
    append_dim(1);
  }
  if (fits(plan, pack)) {
    const int last = plan.rank - 1;
    plan.pack = pack;
    plan.extent[last] /= pack;
    plan.begin[last] /= pack;
    plan.count[last] /= pack;
    plan.stride[last] *= pack;
  }
  for (int d = 0; d < plan.rank; ++d) {
    plan.packs *= plan.extent[d];
  }
  return plan;
}

}  // namespace warptape
