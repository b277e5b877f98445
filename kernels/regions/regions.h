#pragma once
// Moving boxes of elements between tensors: what slices, padding, concatenation and exchanges of
// dimensions are made of. A region is where the elements of a box lie in a tensor.

#include "core/linear_map.h"

namespace warptape {

// first: the place of the box's first element, in elements of the tensor.
// strides: what one step in each dimension of the box adds.
struct Region {
  int64_t first = 0;
  Strides strides{};
};

// Indices begin, begin + step, ... of a tensor in each dimension, as many as `sizes` has.
struct Box {
  Shape sizes;
  Strides begin{};
  Strides step{};
};

// All of a tensor of this shape; its members may be changed then.
Box box_of(const Shape& shape);
Region region_of(const Tensor& tensor);
Region region_of(const Tensor& tensor, const Box& box);

// The elements of a box, from one tensor into another, or added to what is there.
//   sizes: of the box, of which `source` and `target` are the regions
//   to: its elements outside the region stay as they are
void move_region(const char* op, const Shape& sizes, const Tensor& from, const Region& source,
                 Tensor& to, const Region& target, WriteMode mode);

// All of `to`: in the box the elements of from's region, elsewhere `value`.
void place_region(const char* op, const Tensor& from, const Region& source, Tensor& to,
                  const Box& box, double value);

// The gradient of what took a box out of a tensor: dy's region goes back there, and all other
// elements have none.
void give_back_region(const char* op, const Tensor& dy, const Region& source, GradientTarget dx,
                      const Box& box);

// A box of a tensor of one shape, put between zeros in a box of another one. Its transpose is the
// same the other way round.
LinearMap moving(const char* op, const Shape& from, const Box& source, const Shape& to,
                 const Box& target);

}  // namespace warptape
