#pragma once
// Shape: up to eight dimensions, outermost first, PyTorch's logical order (NCHW, NCL, OIHW).
// MemoryFormat: how the elements of a shape lie in memory.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
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
  // A dimension counts from the end when negative; ShapeError outside [-rank, rank).
  int64_t operator[](int dim) const { return sizes_[index_of(dim)]; }
  int64_t& operator[](int dim) { return sizes_[index_of(dim)]; }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  void append(int64_t size);

  int64_t numel() const;  // 1 for a scalar; ShapeError unless it is countable
  // Whether every product of its sizes, times `unit`, fits in 64 bits; a size of 0 is left out,
  // because strides are such products too.
  bool is_countable(int64_t unit = 1) const;
  bool operator==(const Shape& other) const;
  std::string to_string() const;  // "(2, 3)"

 private:
  size_t index_of(int dim) const {
    const int index = dim < 0 ? dim + rank_ : dim;
    if (index < 0 || index >= rank_) [[unlikely]] {
      refuse_dim(dim);
    }
    return static_cast<size_t>(index);
  }
  [[noreturn]] void refuse_dim(int dim) const;

  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

// RowMajor: the last dimension is contiguous. ChannelsLast: dimension 1 is (NHWC, NLC); it exists
// for rank 3 and more, below that the two are the same and RowMajor is the one name.
enum class MemoryFormat : uint8_t { RowMajor, ChannelsLast };

constexpr const char* to_string(MemoryFormat format) {
  return format == MemoryFormat::RowMajor ? "row_major" : "channels_last";
}

std::ostream& operator<<(std::ostream& out, MemoryFormat format);

inline MemoryFormat normalized(MemoryFormat format, int rank) {
  return rank < 3 ? MemoryFormat::RowMajor : format;
}

// What loops over elements read; an index past the rank gives 0.
Strides strides_of(const Shape& shape, MemoryFormat format);

// The strides of a tensor, one per dimension: an index that is out of range is a ShapeError.
class CheckedStrides {
 public:
  CheckedStrides(const Shape& shape, MemoryFormat format)
      : strides_(strides_of(shape, format)), rank_(shape.rank()) {}
  int rank() const { return rank_; }
  int64_t operator[](int dim) const;  // counts from the end when negative
  operator const Strides&() const { return strides_; }

 private:
  Strides strides_;
  int rank_;
};

// A dimension counted from the end when negative; throws ShapeError outside [-rank, rank).
int normalized_dim(int dim, int rank, const char* op, const Site& site);

// The shape that NumPy's broadcasting rules give; throws ShapeError naming both.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op, const Site& site);

}  // namespace warptape
