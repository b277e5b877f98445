#pragma once
// The CPU's loops over neighbouring elements of a weight, of float once per instruction set.
//
// Along a slice ("_along") neighbours belong to one norm; sums go to lanes that need not wait for
// each other. Across slices ("_across") each of them has sums, or factors, of its own, and the
// caller goes from line to line. Sums are in double, elements are scaled in Compute<T>, as the
// kernels do. For weight_norm_cpu.cpp alone.

#include <algorithm>
#include <cstdint>

#include "core/clones.h"
#include "core/element_types.h"
#include "kernels/reduce/robust_norm.h"
#include "kernels/weight_norm/weight_norm_avx512.h"

namespace warptape::weight_norm_lines {
namespace {

constexpr int lanes = 32;

// Products of doubles are taken with a factor that keeps them from vanishing. Those of narrower
// elements fit a double as they are.
template <class T>
WARPTAPE_INLINE double product(T a, T b, double factor) {
  if constexpr (squares_need_scaling<T>) {
    return a * (b * factor);
  } else {
    return static_cast<double>(a) * static_cast<double>(b);
  }
}

// lanes[i % 32] += product(a[i], b[i], factor)
template <class T>
WARPTAPE_INLINE void products_along_as(const T* a, const T* b, int64_t count, double factor,
                                       double* __restrict sums) {
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      sums[lane] += product(a[i + lane], b[i + lane], factor);
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    sums[i - whole] += product(a[i], b[i], factor);
  }
}

// Of lanes, in an order that is always the same.
WARPTAPE_INLINE double total(const double* sums) {
  double of[8];
  for (int lane = 0; lane < 8; ++lane) {
    of[lane] = (sums[lane] + sums[lane + 8]) + (sums[lane + 16] + sums[lane + 24]);
  }
  return ((of[0] + of[1]) + (of[2] + of[3])) + ((of[4] + of[5]) + (of[6] + of[7]));
}

// sums[row] = the total of that over each of several rows, with a factor of its own.
template <class T>
WARPTAPE_INLINE void products_of_rows_as(const T* a, const T* b, int64_t rows, int64_t run,
                                         const double* factors, double* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    double own[lanes] = {};
    products_along_as(a + row * run, b + row * run, run, factors[row], own);
    sums[row] = total(own);
  }
}

// lanes[i % 32] += (values[i] * factor)^2, for who scales what overflows or vanishes.
inline void scaled_squares_along(const double* values, int64_t count, double factor, double* sums) {
  for (int64_t i = 0; i < count; ++i) {
    const double value = values[i] * factor;
    sums[i % lanes] += value * value;
  }
}

// sums[i] += product(a[i], b[i], factors[i]), of `lines` lines that are `stride` apart.
template <class T>
WARPTAPE_INLINE void products_across_as(const T* a, const T* b, int64_t lines, int64_t stride,
                                        int64_t count, const double* __restrict factors,
                                        double* __restrict sums) {
  for (int64_t line = 0; line < lines; ++line) {
    for (int64_t i = 0; i < count; ++i) {
      sums[i] += product(a[line * stride + i], b[line * stride + i], factors[i]);
    }
  }
}

// How v becomes w: it is brought near 1 by a power of two first, so that nothing overflows or
// vanishes that the result does not.
template <class C>
struct Scale {
  C unit;
  C gain;
};

template <class T, class W>
WARPTAPE_INLINE void scale_along_as(const T* __restrict v, int64_t count, Scale<Compute<T>> scale,
                                    W* __restrict w) {
  for (int64_t i = 0; i < count; ++i) {
    w[i] = static_cast<W>(static_cast<T>(scale.gain * (v[i] * scale.unit)));
  }
}

// Of rows, by their units and gains.
template <class T, class W>
WARPTAPE_INLINE void scale_rows_as(const T* v, int64_t rows, int64_t run, const double* units,
                                   const double* gains, W* w) {
  using C = Compute<T>;
  for (int64_t row = 0; row < rows; ++row) {
    scale_along_as(v + row * run, run,
                   Scale<C>{static_cast<C>(units[row]), static_cast<C>(gains[row])}, w + row * run);
  }
}

// The factors of every element.
template <class C>
struct Scales {
  const C* units;
  const C* gains;
};

template <class T, class W>
WARPTAPE_INLINE void scale_across_as(const T* __restrict v, int64_t count, Scales<Compute<T>> of,
                                     W* __restrict w) {
  const Compute<T>* __restrict units = of.units;
  const Compute<T>* __restrict gains = of.gains;
  for (int64_t i = 0; i < count; ++i) {
    w[i] = static_cast<W>(static_cast<T>(gains[i] * (v[i] * units[i])));
  }
}

// dv = scale (dw - v inverse projection), with scale = g / ||v||, inverse = 1 / ||v||.
template <class C>
struct Gradient {
  C scale;
  C inverse;
  C projection;
};

template <class T>
WARPTAPE_INLINE void gradient_along_as(const T* __restrict dw, const T* __restrict v, int64_t count,
                                       Gradient<Compute<T>> of, bool add, T* __restrict dv) {
  if (add) {
    for (int64_t i = 0; i < count; ++i) {
      dv[i] = static_cast<T>(dv[i] + of.scale * (dw[i] - (v[i] * of.inverse) * of.projection));
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      dv[i] = static_cast<T>(of.scale * (dw[i] - (v[i] * of.inverse) * of.projection));
    }
  }
}

// The three factors of every row.
struct RowGradients {
  const double* scales;
  const double* inverses;
  const double* projections;
};

template <class T>
WARPTAPE_INLINE void gradient_rows_as(const T* dw, const T* v, int64_t rows, int64_t run,
                                      RowGradients of, bool add, T* dv) {
  using C = Compute<T>;
  for (int64_t row = 0; row < rows; ++row) {
    const Gradient<C> of_row{static_cast<C>(of.scales[row]), static_cast<C>(of.inverses[row]),
                             static_cast<C>(of.projections[row])};
    gradient_along_as(dw + row * run, v + row * run, run, of_row, add, dv + row * run);
  }
}

// The three factors of every element.
template <class C>
struct Gradients {
  const C* scales;
  const C* inverses;
  const C* projections;
};

template <class T>
WARPTAPE_INLINE void gradient_across_as(const T* __restrict dw, const T* __restrict v,
                                        int64_t count, Gradients<Compute<T>> of, bool add,
                                        T* __restrict dv) {
  const Compute<T>* __restrict scales = of.scales;
  const Compute<T>* __restrict inverses = of.inverses;
  const Compute<T>* __restrict projections = of.projections;
  if (add) {
    for (int64_t i = 0; i < count; ++i) {
      dv[i] = static_cast<T>(dv[i] + scales[i] * (dw[i] - (v[i] * inverses[i]) * projections[i]));
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      dv[i] = static_cast<T>(scales[i] * (dw[i] - (v[i] * inverses[i]) * projections[i]));
    }
  }
}

// Of every type; of float per instruction set, which overload resolution prefers.
template <class T>
void products_along(const T* a, const T* b, int64_t count, double factor, double* sums) {
  products_along_as(a, b, count, factor, sums);
}
WARPTAPE_CLONES void cloned_products_along(const float* a, const float* b, int64_t count,
                                           double* sums) {
  products_along_as(a, b, count, 1, sums);
}
inline void products_along(const float* a, const float* b, int64_t count, double /*one*/,
                           double* sums) {
#if WARPTAPE_HAS_WEIGHT_NORM_AVX512
  if (weight_norm_avx512::is_there()) {
    weight_norm_avx512::products_along(a, b, count, sums);
    return;
  }
#endif
  cloned_products_along(a, b, count, sums);
}
template <class T>
void products_of_rows(const T* a, const T* b, int64_t rows, int64_t run, const double* factors,
                      double* sums) {
  products_of_rows_as(a, b, rows, run, factors, sums);
}
WARPTAPE_CLONES void cloned_products_of_rows(const float* a, const float* b, int64_t rows,
                                             int64_t run, const double* factors, double* sums) {
  products_of_rows_as(a, b, rows, run, factors, sums);
}
inline void products_of_rows(const float* a, const float* b, int64_t rows, int64_t run,
                             const double* factors, double* sums) {
#if WARPTAPE_HAS_WEIGHT_NORM_AVX512
  if (weight_norm_avx512::is_there()) {
    weight_norm_avx512::products_of_rows(a, b, rows, run, sums);
    return;
  }
#endif
  cloned_products_of_rows(a, b, rows, run, factors, sums);
}
template <class T>
void products_across(const T* a, const T* b, int64_t lines, int64_t stride, int64_t count,
                     const double* factors, double* sums) {
  products_across_as(a, b, lines, stride, count, factors, sums);
}
WARPTAPE_CLONES void cloned_products_across(const float* a, const float* b, int64_t lines,
                                            int64_t stride, int64_t count, const double* factors,
                                            double* sums) {
  products_across_as(a, b, lines, stride, count, factors, sums);
}
inline void products_across(const float* a, const float* b, int64_t lines, int64_t stride,
                            int64_t count, const double* factors, double* sums) {
#if WARPTAPE_HAS_WEIGHT_NORM_AVX512
  if (weight_norm_avx512::is_there()) {
    weight_norm_avx512::products_across(a, b, lines, stride, count, sums);
    return;
  }
#endif
  cloned_products_across(a, b, lines, stride, count, factors, sums);
}
template <class T, class W>
void scale_along(const T* v, int64_t count, Scale<Compute<T>> scale, W* w) {
  scale_along_as(v, count, scale, w);
}
WARPTAPE_CLONES void scale_along(const float* v, int64_t count, Scale<float> scale, float* w) {
  scale_along_as(v, count, scale, w);
}
template <class T, class W>
void scale_rows(const T* v, int64_t rows, int64_t run, const double* units, const double* gains,
                W* w) {
  scale_rows_as(v, rows, run, units, gains, w);
}
WARPTAPE_CLONES void scale_rows(const float* v, int64_t rows, int64_t run, const double* units,
                                const double* gains, float* w) {
  scale_rows_as(v, rows, run, units, gains, w);
}
// Writes them past the caches, if this processor can write whole lines, and rows are such; else
// nothing is done.
template <class T, class W>
bool scale_rows_past_caches(const T*, int64_t, int64_t, const double*, const double*, W*) {
  return false;
}
inline bool scale_rows_past_caches([[maybe_unused]] const float* v, [[maybe_unused]] int64_t rows,
                                   [[maybe_unused]] int64_t run,
                                   [[maybe_unused]] const double* units,
                                   [[maybe_unused]] const double* gains,
                                   [[maybe_unused]] float* w) {
#if WARPTAPE_HAS_WEIGHT_NORM_AVX512
  if (weight_norm_avx512::is_there() && weight_norm_avx512::are_lines(w, run)) {
    weight_norm_avx512::scale_lines(v, rows, run, units, gains, w);
    return true;
  }
#endif
  return false;
}
template <class T, class W>
void scale_across(const T* v, int64_t count, Scales<Compute<T>> of, W* w) {
  scale_across_as(v, count, of, w);
}
WARPTAPE_CLONES void scale_across(const float* v, int64_t count, Scales<float> of, float* w) {
  scale_across_as(v, count, of, w);
}
template <class T>
void gradient_along(const T* dw, const T* v, int64_t count, Gradient<Compute<T>> of, bool add,
                    T* dv) {
  gradient_along_as(dw, v, count, of, add, dv);
}
WARPTAPE_CLONES void gradient_along(const float* dw, const float* v, int64_t count,
                                    Gradient<float> of, bool add, float* dv) {
  gradient_along_as(dw, v, count, of, add, dv);
}
template <class T>
void gradient_rows(const T* dw, const T* v, int64_t rows, int64_t run, RowGradients of, bool add,
                   T* dv) {
  gradient_rows_as(dw, v, rows, run, of, add, dv);
}
WARPTAPE_CLONES void gradient_rows(const float* dw, const float* v, int64_t rows, int64_t run,
                                   RowGradients of, bool add, float* dv) {
  gradient_rows_as(dw, v, rows, run, of, add, dv);
}
template <class T>
bool gradient_rows_past_caches(const T*, const T*, int64_t, int64_t, RowGradients, T*) {
  return false;
}
inline bool gradient_rows_past_caches([[maybe_unused]] const float* dw,
                                      [[maybe_unused]] const float* v,
                                      [[maybe_unused]] int64_t rows, [[maybe_unused]] int64_t run,
                                      [[maybe_unused]] RowGradients of,
                                      [[maybe_unused]] float* dv) {
#if WARPTAPE_HAS_WEIGHT_NORM_AVX512
  if (weight_norm_avx512::is_there() && weight_norm_avx512::are_lines(dv, run)) {
    weight_norm_avx512::gradient_lines(dw, v, rows, run, of.scales, of.inverses, of.projections,
                                       dv);
    return true;
  }
#endif
  return false;
}
template <class T>
void gradient_across(const T* dw, const T* v, int64_t count, Gradients<Compute<T>> of, bool add,
                     T* dv) {
  gradient_across_as(dw, v, count, of, add, dv);
}
WARPTAPE_CLONES void gradient_across(const float* dw, const float* v, int64_t count,
                                     Gradients<float> of, bool add, float* dv) {
  gradient_across_as(dw, v, count, of, add, dv);
}

}  // namespace
}  // namespace warptape::weight_norm_lines
