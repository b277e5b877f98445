#pragma once
// Shape: up to eight dimensions, outermost first, PyTorch's logical order (NCHW, NCL, OIHW).
// MemoryFormat: how the elements of a shape lie in memory.

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/strided_loop.h"

namespace warptape {

class Shape {
 public:
  static constexpr int max_rank = warptape::max_rank;

  Shape() = default;  // rank 0: a scalar with one element
  Shape(std::initializer_list<int64_t> sizes)
      : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);
  explicit Shape(const std::vector<int64_t>& sizes) : Shape(std::span<const int64_t>(sizes)) {}

  int rank() const { return rank_; }
  int64_t operator[](int dim) const { return sizes_[static_cast<size_t>(dim)]; }
  int64_t& operator[](int dim) { return sizes_[static_cast<size_t>(dim)]; }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  void append(int64_t size);

  int64_t numel() const;  // 1 for a scalar; ShapeError if it overflows
  bool operator==(const Shape& other) const;
  std::string to_string() const;  // "(2, 3)"

 private:
  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

// RowMajor: the last dimension is contiguous. ChannelsLast: dimension 1 is (NHWC, NLC); it exists
// for rank 3 and more, below that the two are the same and RowMajor is the one name.
enum class MemoryFormat : uint8_t { RowMajor, ChannelsLast };

constexpr const char* to_string(MemoryFormat format) {
  return format == MemoryFormat::RowMajor ? "row_major" : "channels_last";
}

inline MemoryFormat normalized(MemoryFormat format, int rank) {
  return rank < 3 ? MemoryFormat::RowMajor : format;
}

Strides strides_of(const Shape& shape, MemoryFormat format);

// A dimension counted from the end when negative; throws ShapeError outside [-rank, rank).
int normalized_dim(int dim, int rank, const char* op, const Site& site);

// The shape that NumPy's broadcasting rules give; throws ShapeError naming both.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op, const Site& site);

}  // namespace warptape

template <>
struct fmt::formatter<warptape::Shape> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const warptape::Shape& shape, Context& context) const {
    return fmt::format_to(context.out(), "{}", shape.to_string());
  }
};
