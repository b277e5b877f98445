#pragma once
// Where a thread copies packs of an operand from, for the tensor cores, which leave few
// instructions for that: what depends on a row alone is worked out once, and a step along the depth
// adds to it.

#include "kernels/matrix/tile_loader.cuh"

namespace warptape::matrix {

// As TilePlaces along the depth, of pixels: a pixel's place, and from it how far its tap lies.
template <class OneView, int Rows, int Depth, int E, int Threads>
class PixelPlaces {
 public:
  using View = OneView;
  using T = typename View::Element;
  using Steps = TileSteps<Digits, Digits>;
  static constexpr int packs = Rows * Depth / E;
  static constexpr int count = packs / Threads;
  static_assert(packs % Threads == 0 && count <= 32);
  static constexpr int per_line = Depth / E;
  static constexpr int lines = Threads / per_line;  // from a pack of a thread to its next

  static Steps steps(const View& view) { return {view.rows.split(lines), view.depth.split(Depth)}; }

  __device__ PixelPlaces(const View& view, int group, int tile_row, int tile_depth) {
    const int thread = static_cast<int>(threadIdx.x);
    first_row_ = thread / per_line;
    first_depth_ = thread % per_line * E;
    depth_ = view.depth.split(tile_depth + first_depth_);
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const Digits pixel = view.rows.split(tile_row + row_in_tile(i));
      y_[i] = pixel.middle * view.taps.stride_y + view.taps.offset_y;
      x_[i] = pixel.inner * view.taps.stride_x + view.taps.offset_x;
      const int64_t at = group * view.group_stride + pixel.outer * view.taps.image_pitch +
                         (int64_t{y_[i]} * view.taps.width + x_[i]) * view.taps.pixel_pitch;
      if (i == 0) {
        first_ = at;
      }
      packs_on_[i] = static_cast<int>((at - first_) / E);
      is_row_ |= view.rows.contains(pixel) ? 1U << i : 0U;
    }
  }

  __device__ int row_in_tile(int i) const {
    return first_row_ + i * lines;
  }
  __device__ int depth_in_tile(int) const {
    return first_depth_;
  }

  template <class Body>
  __device__ void next_tile(const View& view, const Steps& steps, const Body& body) {
    const int down = depth_.outer * view.taps.dilation_y;
    const int right = depth_.middle * view.taps.dilation_x;
    const T* const tap = view.data + first_ +
                         ((down * view.taps.width + right) * view.taps.pixel_pitch + depth_.inner);
    const unsigned in_use = view.depth.contains(depth_) ? is_row_ : 0U;
#pragma unroll
    for (int i = 0; i < count; ++i) {
      // A negative position is a huge unsigned one.
      const bool is_inside =
          static_cast<unsigned>(y_[i] + down) < static_cast<unsigned>(view.taps.height) &&
          static_cast<unsigned>(x_[i] + right) < static_cast<unsigned>(view.taps.width) &&
          (in_use >> i & 1U) != 0;
      body(i, is_inside ? tap + int64_t{packs_on_[i]} * E : nullptr);
    }
    view.depth.advance(depth_, steps.tile);
  }

 private:
  int64_t first_;        // the first pixel's place, and how many packs behind it the others lie
  int packs_on_[count];  // (fits_packs sees to it that these are ints)
  int y_[count];
  int x_[count];
  unsigned is_row_ = 0;  // a bit for each
  Digits depth_;
  int first_row_;
  int first_depth_;
};

// As TilePlaces, of a matrix: a place that moves by strides.
template <class T, int Rows, int Depth, int E, bool along_depth, int Threads>
class LinePlaces {
 public:
  using View = MatrixView<T>;
  using Steps = TileSteps<int, int>;
  static constexpr int packs = Rows * Depth / E;
  static constexpr int count = packs / Threads;
  static_assert(packs % Threads == 0);
  static constexpr int per_line = along_depth ? Depth / E : Rows / E;
  static constexpr int lines = Threads / per_line;

  static Steps steps(const View&) { return {lines, Depth}; }

  __device__ LinePlaces(const View& view, int group, int tile_row, int tile_depth) {
    const int thread = static_cast<int>(threadIdx.x);
    const int along = thread % per_line * E;
    const int line = thread / per_line;
    first_row_ = along_depth ? line : along;
    first_depth_ = along_depth ? along : line;
    row_ = tile_row + first_row_;
    depth_ = tile_depth + first_depth_;
    at_ = view.data + group * view.group_stride +
          (row_ * view.row_stride + depth_ * view.depth_stride);
  }

  __device__ int row_in_tile(int i) const { return first_row_ + (along_depth ? i * lines : 0); }
  __device__ int depth_in_tile(int i) const { return first_depth_ + (along_depth ? 0 : i * lines); }

  template <class Body>
  __device__ void next_tile(const View& view, const Steps&, const Body& body) {
    const T* pointer = at_;
    const int64_t stride = lines * (along_depth ? view.row_stride : view.depth_stride);
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const bool is_inside = view.rows.contains(row_ + (along_depth ? i * lines : 0)) &&
                             view.depth.contains(depth_ + (along_depth ? 0 : i * lines));
      body(i, is_inside ? pointer : nullptr);
      pointer += stride;
    }
    depth_ += Depth;
    at_ += Depth * view.depth_stride;
  }

 private:
  const T* at_;
  int row_;
  int depth_;
  int first_row_;
  int first_depth_;
};

// As TilePlaces along the rows, of views whose depth has digits. What their row adds to a place is
// worked out once; places are computed in any case, and then taken or not, without a branch.
template <class T>
struct TapOfRow {
  using Offset = int64_t;
  const T* at;
  int down, right;
  bool is_row;

  __device__ TapOfRow(const ImageView<T, false>& view, int group, int row) {
    const Digits tap = view.rows.split(row);
    down = tap.outer * view.taps.dilation_y + view.taps.offset_y;
    right = tap.middle * view.taps.dilation_x + view.taps.offset_x;
    at = view.data + group * view.group_stride + tap.inner;
    is_row = view.rows.contains(tap);
  }
  __device__ bool find(const ImageView<T, false>& view, const Digits& pixel,
                       int64_t& offset) const {
    const int y = pixel.middle * view.taps.stride_y + down;
    const int x = pixel.inner * view.taps.stride_x + right;
    offset =
        pixel.outer * view.taps.image_pitch + (y * view.taps.width + x) * view.taps.pixel_pitch;
    return static_cast<unsigned>(y) < static_cast<unsigned>(view.taps.height) &&
           static_cast<unsigned>(x) < static_cast<unsigned>(view.taps.width);
  }
};
template <class T>
struct FilterOfRow {
  using Offset = int;
  const T* at;
  bool is_row;

  __device__ FilterOfRow(const FilterView<T>& view, int group, int row)
      : at(view.data + group * view.group_stride + row), is_row(view.rows.contains(row)) {}
  // In 32 bits: check_elements.
  __device__ bool find(const FilterView<T>& view, const Digits& k, int& offset) const {
    offset =
        k.outer * view.tap_y_stride + k.middle * view.tap_x_stride + k.inner * view.channel_stride;
    return true;
  }
};

template <class OneView, class OfRow, int Rows, int Depth, int E, int Threads>
class DigitPlaces {
 public:
  using View = OneView;
  using T = typename View::Element;
  using Steps = TileSteps<Digits, Digits>;
  static constexpr int packs = Rows * Depth / E;
  static constexpr int count = packs / Threads;
  static_assert(packs % Threads == 0);
  static constexpr int per_line = Rows / E;
  static constexpr int lines = Threads / per_line;
  static_assert(lines * count == Depth);

  static Steps steps(const View& view) {
    return {view.depth.split(lines), view.depth.split(Depth)};
  }

  __device__ DigitPlaces(const View& view, int group, int tile_row, int tile_depth)
      : first_row_(static_cast<int>(threadIdx.x) % per_line * E),
        first_depth_(static_cast<int>(threadIdx.x) / per_line),
        row_(view, group, tile_row + first_row_),
        depth_(view.depth.split(tile_depth + first_depth_)) {}

  __device__ int row_in_tile(int) const { return first_row_; }
  __device__ int depth_in_tile(int i) const { return first_depth_ + i * lines; }

  template <class Body>
  __device__ void next_tile(const View& view, const Steps& steps, const Body& body) {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      typename OfRow::Offset offset = 0;
      const bool is_inside =
          row_.find(view, depth_, offset) && row_.is_row && view.depth.contains(depth_);
      body(i, is_inside ? row_.at + offset : nullptr);
      view.depth.advance(depth_, steps.line);
    }
  }

 private:
  int first_row_;
  int first_depth_;
  OfRow row_;
  Digits depth_;
};

// As TilePlaces, of single elements.
template <class View, int Rows, int Depth, bool along_depth, int Threads>
class SinglePlaces : public TilePlaces<View, Rows, Depth, 1, along_depth, Threads> {
  using Base = TilePlaces<View, Rows, Depth, 1, along_depth, Threads>;

 public:
  __device__ SinglePlaces(const View& view, int group, int tile_row, int tile_depth)
      : Base(view, tile_row, tile_depth), offset_(group * view.group_stride) {}

  template <class Body>
  __device__ void next_tile(const View& view, const typename Base::Steps& steps, const Body& body) {
    Base::next_tile(view, steps, offset_, body);
  }

 private:
  int64_t offset_;
};

namespace copy_detail {

template <class View, int Rows, int Depth, int E, bool along_depth, int Threads>
struct PlacesOf {
  using type = SinglePlaces<View, Rows, Depth, along_depth, Threads>;
};
template <class T, class Pixels, int Rows, int Depth, int E, int Threads>
requires(E > 1) struct PlacesOf<ImageView<T, true, Pixels>, Rows, Depth, E, true, Threads> {
  using type = PixelPlaces<ImageView<T, true, Pixels>, Rows, Depth, E, Threads>;
};
template <class T, int Rows, int Depth, int E, bool along_depth, int Threads>
requires(E > 1) struct PlacesOf<MatrixView<T>, Rows, Depth, E, along_depth, Threads> {
  using type = LinePlaces<T, Rows, Depth, E, along_depth, Threads>;
};

template <class T, int Rows, int Depth, int E, int Threads>
requires(E > 1) struct PlacesOf<ImageView<T, false>, Rows, Depth, E, false, Threads> {
  using type = DigitPlaces<ImageView<T, false>, TapOfRow<T>, Rows, Depth, E, Threads>;
};
template <class T, int Rows, int Depth, int E, int Threads>
requires(E > 1) struct PlacesOf<FilterView<T>, Rows, Depth, E, false, Threads> {
  using type = DigitPlaces<FilterView<T>, FilterOfRow<T>, Rows, Depth, E, Threads>;
};

}  // namespace copy_detail

template <class View, int Rows, int Depth, int E, bool along_depth, int Threads>
using MmaPlaces = typename copy_detail::PlacesOf<View, Rows, Depth, E, along_depth, Threads>::type;

}  // namespace warptape::matrix
