#pragma once
// The CUDA kernels behind pointers and sizes.
//
// Bytes: forward reads v and writes w once, backward reads v and dw and writes dv once; a slice
// stays on chip between its norm and its scaling. Slices that no block holds take two launches and
// are read twice.

#include <cstdint>
#include <span>

#include "core/device/gpu.h"
#include "kernels/weight_norm/norm_slices.h"

namespace warptape {

// One weight. v, w: `rows` slices of `length` elements, each contiguous if `places` has one line;
// g: (rows). inv_norm: (rows), 1 / ||v||, 0 for a slice of zeros. w may be null where only the
// norms are wanted, and norm where they are not; g may be null with w. W: T, or bfloat16 beside
// float: an element of w is computed as a T and rounded where it is stored.
template <class T, class W>
struct WeightNormForward {
  const T* v;
  const T* g;
  W* w;
  T* norm;
  double* inv_norm;
  int64_t rows;
  int64_t length;
  NormSlices places = {};

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(v);
    visit(g);
    visit(w);
    visit(norm);
    visit(inv_norm);
  }
};

// dv and dg may be null where nobody wants them; add_*: they hold something to add to.
template <class T>
struct WeightNormBackward {
  const T* dw;
  const T* v;
  const T* g;
  const double* inv_norm;
  T* dv;
  T* dg;
  int64_t rows;
  int64_t length;
  bool add_v;
  bool add_g;
  NormSlices places = {};

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(dw);
    visit(v);
    visit(g);
    visit(inv_norm);
    visit(dv);
    visit(dg);
  }
};

// Elements of a row that a block keeps in registers.
template <class T>
inline constexpr int64_t weight_norm_row_capacity = 65536 / static_cast<int64_t>(sizeof(T) < 4
                                                                                     ? 4
                                                                                     : sizeof(T));

// How many doubles of scratch in device memory a weight needs: none if its slices stay on chip.
template <class T, class W>
int64_t weight_norm_scratch(const WeightNormForward<T, W>& weight);
template <class T>
int64_t weight_norm_scratch(const WeightNormBackward<T>& weight);

// All weights of one dtype, forward of one dtype of w. Those whose slices stay on chip share one
// launch (per 128 weights); each of the others takes two, with its part of `scratch`.
template <class T, class W>
void launch_weight_norm_forward(std::span<const WeightNormForward<T, W>> weights, double* scratch,
                                gpu::StreamHandle stream);
template <class T>
void launch_weight_norm_backward(std::span<const WeightNormBackward<T>> weights, double* scratch,
                                 gpu::StreamHandle stream);

}  // namespace warptape
