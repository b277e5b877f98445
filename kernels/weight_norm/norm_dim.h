#pragma once
// Which dimensions of a weight keep a norm each, and where what belongs to one norm lies.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "core/error.h"
#include "core/shape.h"
#include "kernels/weight_norm/norm_slices.h"

namespace warptape {

struct WholeTensorTag {};
// One norm over all elements: PyTorch's dim=None. g is a scalar.
inline constexpr WholeTensorTag WholeTensor{};

// Weight norm's `dim`: the axis, or the axes, along which every index has a norm of its own, taken
// over all other axes. An axis counts from the end when negative; -1 is the last one, and never
// the whole tensor.
//
//   NormDim dim = 0;         // per output channel of a convolution: g is (O, 1, 1) for (O, I, K)
//   NormDim dim = {0, -1};   // (O, 1, K)
//   NormDim dim = WholeTensor;
class NormDim {
 public:
  NormDim(int axis = 0) : NormDim(std::span<const int>(&axis, 1)) {}
  NormDim(std::initializer_list<int> axes)
      : NormDim(std::span<const int>(axes.begin(), axes.size())) {}
  explicit NormDim(std::span<const int> axes);  // ShapeError for more than a tensor can have
  NormDim(WholeTensorTag /*one norm*/) : is_whole_(true) {}

  // A bit for each axis that is kept, from 0; none of the whole tensor. ShapeError for one that v
  // does not have, ValueError for none or one that is named twice.
  uint32_t axes_of(const Shape& v, const char* op, const Site& site) const;
  // The shape of g: v's, with 1 along the other axes; of the whole tensor ().
  Shape norm_shape(const Shape& v, const char* op, const Site& site) const;
  // The dim whose g has this shape: `preferred` where it has, as an axis of size 1 is kept or is
  // not, with the same g; else the first single axis; else several. None if there is no such dim,
  // or slices_of refuses it.
  static std::optional<NormDim> of_shapes(const Shape& v, const Shape& g,
                                          const NormDim& preferred = 0);
  std::string to_string() const;  // "0", "(0, 2)", "None" as PyTorch's
  friend bool operator==(const NormDim& a, const NormDim& b) = default;

 private:
  std::span<const int> axes() const { return {axes_.data(), static_cast<size_t>(count_)}; }

  // In place, so that comparing and handing on cost nothing in a step.
  std::array<int, Shape::max_rank> axes_{};
  int count_ = 0;
  bool is_whole_ = false;
};

// ShapeError for a dim that v does not have, and where axes that are kept and axes that are not
// take turns more often than that.
NormSlices slices_of(const Shape& v, MemoryFormat format, const NormDim& dim, const char* op,
                     const Site& site);

// Whether the elements of g, in this format, are in the order in which v's slices are.
bool are_in_order(const Shape& g, MemoryFormat format_of_g, MemoryFormat format_of_v);

}  // namespace warptape
