#include "kernels/geometry/padding.h"

#include <algorithm>

namespace warptape {
namespace {

std::string tuple_of(int64_t a, int64_t b) {
  return "(" + std::to_string(a) + ", " + std::to_string(b) + ")";
}

}  // namespace

std::string to_string(std::span<const AxisPadding> axes) {
  const bool is_symmetric = std::all_of(
      axes.begin(), axes.end(), [](const AxisPadding& axis) { return axis.before == axis.after; });
  std::string text;
  for (const AxisPadding& axis : axes) {
    if (axis.rule == AxisPadding::Rule::Same) {
      return "same";
    }
    if (axis.rule == AxisPadding::Rule::Causal) {
      return "causal";
    }
    text += text.empty() ? "(" : ", ";
    text += is_symmetric ? std::to_string(axis.before) : tuple_of(axis.before, axis.after);
  }
  return text + (axes.size() == 1 ? ",)" : ")");
}

std::string Padding1d::to_string() const {
  return warptape::to_string({&axis, 1});
}

std::string Padding2d::to_string() const {
  const AxisPadding axes[] = {vertical, horizontal};
  return warptape::to_string(axes);
}

}  // namespace warptape
