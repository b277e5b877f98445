#include "kernels/weight_norm/norm_dim.h"

#include <algorithm>
#include <array>

#include "core/check.h"

namespace warptape {
namespace {

// The axes as they lie in memory, outermost first.
std::vector<int> memory_order(int rank, MemoryFormat format) {
  std::vector<int> order;
  const bool channels_last = normalized(format, rank) == MemoryFormat::ChannelsLast;
  for (int axis = 0; axis < rank; ++axis) {
    if (!channels_last || axis != 1) {
      order.push_back(axis);
    }
  }
  if (channels_last) {
    order.push_back(1);
  }
  return order;
}

std::vector<int> long_axes_in_order(const Shape& shape, MemoryFormat format) {
  std::vector<int> axes;
  for (int axis : memory_order(shape.rank(), format)) {
    if (shape[axis] != 1) {
      axes.push_back(axis);
    }
  }
  return axes;
}

}  // namespace

NormDim::NormDim(std::span<const int> axes) : count_(static_cast<int>(axes.size())) {
  check<ShapeError>(axes.size() <= axes_.size(), "[NormDim] axes: got {}, wanted at most {}",
                    axes.size(), axes_.size());
  std::copy(axes.begin(), axes.end(), axes_.begin());
}

std::vector<int> NormDim::axes_of(const Shape& v, const char* op, const Site& site) const {
  if (is_whole_) {
    return {};
  }
  check<ValueError>(count_ > 0, site,
                    "[{}] dim: got no axis, wanted one or more (WholeTensor is one norm of all)",
                    op);
  std::vector<int> result;
  for (int axis : axes()) {
    check<ShapeError>(axis >= -v.rank() && axis < v.rank(), site,
                      "[{}] dim: got {}, wanted {} to {} for v of shape {}", op, axis, -v.rank(),
                      v.rank() - 1, v);
    result.push_back(axis < 0 ? axis + v.rank() : axis);
  }
  std::sort(result.begin(), result.end());
  const auto repeated = std::adjacent_find(result.begin(), result.end());
  check<ValueError>(repeated == result.end(), site,
                    "[{}] dim: got {}, which names axis {} of {} twice", op, to_string(),
                    repeated == result.end() ? 0 : *repeated, v);
  return result;
}

Shape NormDim::norm_shape(const Shape& v, const char* op, const Site& site) const {
  if (is_whole_) {
    return {};
  }
  Shape shape(std::vector<int64_t>(static_cast<size_t>(v.rank()), 1));
  for (int axis : axes_of(v, op, site)) {
    shape[axis] = v[axis];
  }
  return shape;
}

std::optional<NormDim> NormDim::of_shapes(const Shape& v, const Shape& g,
                                          const NormDim& preferred) {
  const auto has = [&](const NormDim& dim) {
    const bool exists = dim.is_whole_ ||
                        std::all_of(dim.axes().begin(), dim.axes().end(),
                                    [&](int axis) { return axis >= -v.rank() && axis < v.rank(); });
    return exists && dim.norm_shape(v, "weight_norm", {}) == g;
  };
  if (has(preferred)) {
    return preferred;
  }
  if (g.rank() == 0) {
    return NormDim(WholeTensor);
  }
  if (g.rank() != v.rank()) {
    return std::nullopt;
  }
  for (int axis = 0; axis < v.rank(); ++axis) {
    if (has(axis)) {
      return NormDim(axis);
    }
  }
  std::vector<int> axes;
  for (int axis = 0; axis < v.rank(); ++axis) {
    if (g[axis] != 1) {
      axes.push_back(axis);
    }
  }
  const NormDim several{std::span<const int>(axes)};
  return !axes.empty() && has(several) ? std::optional(several) : std::nullopt;
}

std::string NormDim::to_string() const {
  if (is_whole_) {
    return "None";
  }
  return count_ == 1 ? std::to_string(axes_[0]) : fmt::format("({})", fmt::join(axes(), ", "));
}

NormSlices slices_of(const Shape& v, MemoryFormat format, const NormDim& dim, const char* op,
                     const Site& site) {
  const std::vector<int> kept = dim.axes_of(v, op, site);
  // From the innermost axis outwards: summed over, kept, summed over, kept, summed over.
  std::array<int64_t, 5> sizes{1, 1, 1, 1, 1};
  size_t level = 0;
  const std::vector<int> axes = long_axes_in_order(v, format);
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const bool is_kept = std::find(kept.begin(), kept.end(), *axis) != kept.end();
    level += (level % 2 == 1) != is_kept ? 1 : 0;
    check<ShapeError>(level < sizes.size(), site,
                      "[{}] dim: got {} for v of shape {} in {}, wanted axes that are kept in at "
                      "most two places of the memory",
                      op, dim.to_string(), v, warptape::to_string(format));
    sizes[level] *= v[*axis];
  }
  const NormSlices result{sizes[4], sizes[3], sizes[2], sizes[1], sizes[0]};
  const bool are_rows = result.are_rows() || result.length() == 0;
  return are_rows ? NormSlices{1, 1, 1, result.count(), result.length()} : result;
}

bool are_in_order(const Shape& g, MemoryFormat format_of_g, MemoryFormat format_of_v) {
  return long_axes_in_order(g, format_of_g) == long_axes_in_order(g, format_of_v);
}

}  // namespace warptape
