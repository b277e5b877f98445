#include "core/shape.h"

#include <algorithm>

#include "core/check.h"
#include "core/checked_size.h"

namespace warptape {

Shape::Shape(std::span<const int64_t> sizes) {
  for (int64_t size : sizes) {
    append(size);
  }
}

void Shape::append(int64_t size) {
  check<ShapeError>(rank_ < max_rank, "[Shape] rank: got more than {} dimensions, wanted fewer",
                    int{max_rank});
  check<ShapeError>(size >= 0, "[Shape] size: got {}, wanted 0 or more", size);
  sizes_[static_cast<size_t>(rank_++)] = size;
}

int64_t Shape::numel() const {
  CheckedSize count = 1;
  bool empty = false;
  bool negative = false;
  for (int64_t size : *this) {
    empty = empty || size == 0;
    negative = negative || size < 0;
    count = count * (size == 0 ? 1 : size);
  }
  check<ShapeError>(!negative, "[Shape] sizes: got {}, wanted 0 or more", *this);
  check<ShapeError>(count.fits(), "[Shape] {}: the number of elements overflows 64 bits", *this);
  return empty ? 0 : count.value();
}

bool Shape::is_countable(int64_t unit) const {
  CheckedSize count = unit;
  bool negative = false;
  for (int64_t size : *this) {
    negative = negative || size < 0;
    count = count * (size == 0 ? 1 : size);
  }
  return count.fits() && !negative;
}

void Shape::refuse_dim(int dim) const {
  check<ShapeError>(rank_ > 0, "[Shape] dim: got {} of a scalar, which has no dimensions", dim);
  throw ShapeError(fmt::format("[Shape] dim: got {}, wanted {} to {} in shape {}", dim, -rank_,
                               rank_ - 1, *this));
}

int64_t CheckedStrides::operator[](int dim) const {
  const int index = normalized_dim(dim, rank_, "strides", {});
  return strides_[static_cast<size_t>(index)];
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (int dim = 0; dim < rank_; ++dim) {
    text += (dim ? ", " : "") + std::to_string((*this)[dim]);
  }
  return text + (rank_ == 1 ? ",)" : ")");
}

Strides strides_of(const Shape& shape, MemoryFormat format) {
  Strides strides{};
  const bool channels_last = normalized(format, shape.rank()) == MemoryFormat::ChannelsLast;
  int64_t stride = channels_last ? shape[1] : 1;
  for (int dim = shape.rank() - 1; dim >= 0; --dim) {
    if (channels_last && dim == 1) {
      strides[1] = 1;
      continue;
    }
    strides[static_cast<size_t>(dim)] = stride;
    stride *= shape[dim];
  }
  return strides;
}

int normalized_dim(int dim, int rank, const char* op, const Site& site) {
  check<ShapeError>(rank > 0, site, "[{}] dim: got {} of a scalar, which has no dimensions", op,
                    dim);
  check<ShapeError>(dim >= -rank && dim < rank, site, "[{}] dim: got {}, wanted {} to {}", op, dim,
                    -rank, rank - 1);
  return dim < 0 ? dim + rank : dim;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op, const Site& site) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result;
  for (int dim = 0; dim < rank; ++dim) {
    const int in_a = dim - (rank - a.rank());
    const int in_b = dim - (rank - b.rank());
    const int64_t size_a = in_a < 0 ? 1 : a[in_a];
    const int64_t size_b = in_b < 0 ? 1 : b[in_b];
    check<ShapeError>(size_a == size_b || size_a == 1 || size_b == 1, site,
                      "[{}] shapes must broadcast: got {} and {}", op, a, b);
    result.append(size_a == 1 ? size_b : size_a);
  }
  check<ShapeError>(result.is_countable(), site,
                    "[{}] shapes: got {} and {}, which broadcast to {}, whose number of elements "
                    "overflows 64 bits",
                    op, a, b, result);
  return result;
}

}  // namespace warptape

fmt::format_context::iterator fmt::formatter<warptape::Shape>::format(
    const warptape::Shape& shape, fmt::format_context& context) const {
  return fmt::formatter<std::string_view>::format(shape.to_string(), context);
}
