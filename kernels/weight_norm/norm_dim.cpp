#include "kernels/weight_norm/norm_dim.h"

#include <algorithm>
#include <array>

#include "core/check.h"

namespace warptape {
namespace {

// Axes in an order, without memory of their own: a step compares them.
struct AxisList {
  std::array<int, Shape::max_rank> axes{};
  int count = 0;

  void add(int axis) { axes[static_cast<size_t>(count++)] = axis; }
  const int* begin() const { return axes.data(); }
  const int* end() const { return axes.data() + count; }
};

// Those of more than one element as they lie in memory, outermost first.
AxisList long_axes_in_order(const Shape& shape, MemoryFormat format) {
  AxisList list;
  const bool channels_last = normalized(format, shape.rank()) == MemoryFormat::ChannelsLast;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] != 1 && !(channels_last && axis == 1)) {
      list.add(axis);
    }
  }
  if (channels_last && shape[1] != 1) {
    list.add(1);
  }
  return list;
}

bool has(uint32_t axes, int axis) {
  return (axes >> axis & 1U) != 0;
}

// The sizes of the levels from the innermost one outwards: summed over, kept, summed over, kept,
// summed over. None if there are more.
std::optional<std::array<int64_t, 5>> levels_of(const Shape& v, const AxisList& list,
                                                uint32_t kept) {
  std::array<int64_t, 5> sizes{1, 1, 1, 1, 1};
  size_t level = 0;
  for (int i = list.count - 1; i >= 0; --i) {
    const int axis = list.axes[static_cast<size_t>(i)];
    level += (level % 2 == 1) != has(kept, axis) ? 1 : 0;
    if (level == sizes.size()) {
      return std::nullopt;
    }
    sizes[level] *= v[axis];
  }
  return sizes;
}

}  // namespace

NormDim::NormDim(std::span<const int> axes) : count_(static_cast<int>(axes.size())) {
  check<ShapeError>(axes.size() <= axes_.size(), "[NormDim] axes: got {}, wanted at most {}",
                    axes.size(), axes_.size());
  std::copy(axes.begin(), axes.end(), axes_.begin());
}

uint32_t NormDim::axes_of(const Shape& v, const char* op, const Site& site) const {
  check<ValueError>(is_whole_ || count_ > 0, site,
                    "[{}] dim: got no axis, wanted one or more (WholeTensor is one norm of all)",
                    op);
  uint32_t result = 0;
  for (int named : axes()) {
    check<ShapeError>(named >= -v.rank() && named < v.rank(), site,
                      "[{}] dim: got {}, wanted {} to {} for v of shape {}", op, named, -v.rank(),
                      v.rank() - 1, v);
    const int axis = named < 0 ? named + v.rank() : named;
    check<ValueError>(!has(result, axis), site, "[{}] dim: got {}, which names axis {} of {} twice",
                      op, to_string(), axis, v);
    result |= 1U << axis;
  }
  return result;
}

Shape NormDim::norm_shape(const Shape& v, const char* op, const Site& site) const {
  const uint32_t kept = axes_of(v, op, site);
  Shape shape;
  for (int axis = 0; axis < v.rank() && !is_whole_; ++axis) {
    shape.append(has(kept, axis) ? v[axis] : 1);
  }
  return shape;
}

std::optional<NormDim> NormDim::of_shapes(const Shape& v, const Shape& g,
                                          const NormDim& preferred) {
  const auto gives_g = [&](const NormDim& dim) {
    const bool exists = std::all_of(dim.axes().begin(), dim.axes().end(),
                                    [&](int axis) { return axis >= -v.rank() && axis < v.rank(); });
    return exists && dim.norm_shape(v, "weight_norm", {}) == g &&
           levels_of(v, long_axes_in_order(v, MemoryFormat::RowMajor),
                     dim.axes_of(v, "weight_norm", {}));
  };
  if (gives_g(preferred)) {
    return preferred;
  }
  if (g.rank() == 0) {
    return NormDim(WholeTensor);
  }
  if (g.rank() != v.rank()) {
    return std::nullopt;
  }
  for (int axis = 0; axis < v.rank(); ++axis) {
    if (gives_g(axis)) {
      return NormDim(axis);
    }
  }
  NormDim several(std::span<const int>{});
  for (int axis = 0; axis < v.rank(); ++axis) {
    if (g[axis] != 1) {
      several.axes_[static_cast<size_t>(several.count_++)] = axis;
    }
  }
  return several.count_ > 0 && gives_g(several) ? std::optional(several) : std::nullopt;
}

std::string NormDim::to_string() const {
  if (is_whole_) {
    return "None";
  }
  return count_ == 1 ? std::to_string(axes_[0]) : fmt::format("({})", fmt::join(axes(), ", "));
}

NormSlices slices_of(const Shape& v, MemoryFormat format, const NormDim& dim, const char* op,
                     const Site& site) {
  const uint32_t kept = dim.axes_of(v, op, site);
  const std::optional<std::array<int64_t, 5>> levels =
      levels_of(v, long_axes_in_order(v, format), kept);
  check<ShapeError>(levels.has_value(), site,
                    "[{}] dim: got {} for v of shape {} in {}, wanted axes that are kept in at "
                    "most two places of the memory",
                    op, dim.to_string(), v, warptape::to_string(format));
  const std::array<int64_t, 5>& sizes = *levels;
  const NormSlices result{sizes[4], sizes[3], sizes[2], sizes[1], sizes[0]};
  const bool are_rows = result.are_rows() || result.length() == 0 || result.count() == 0;
  return are_rows ? NormSlices{1, 1, 1, result.count(), result.length()} : result;
}

bool are_in_order(const Shape& g, MemoryFormat format_of_g, MemoryFormat format_of_v) {
  const AxisList in_g = long_axes_in_order(g, format_of_g);
  const AxisList in_v = long_axes_in_order(g, format_of_v);
  return std::equal(in_g.begin(), in_g.end(), in_v.begin(), in_v.end());
}

}  // namespace warptape
