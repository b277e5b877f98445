#pragma once
// The CPU's loops over neighbouring elements of a weight, of float once per instruction set.
//
// Along a slice ("_along") neighbours belong to one norm; sums go to eight lanes that need not wait
// for each other. Across slices ("_across") each of them has sums, or factors, of its own, and the
// caller goes from line to line. All arithmetic is in double. For weight_norm_cpu.cpp alone.

#include <algorithm>
#include <cstdint>

#include "core/clones.h"
#include "core/simt/bfloat16.h"

namespace warptape::weight_norm_lines {
namespace {

constexpr int lanes = 8;

// lanes[i % 8] += (values[i] * factor)^2
template <class T>
WARPTAPE_INLINE void squares_along_as(const T* values, int64_t count, double factor, double* sums) {
  double own[lanes];  // in registers
  std::copy_n(sums, lanes, own);
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const double value = values[i + lane] * factor;
      own[lane] += value * value;
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    const double value = values[i] * factor;
    own[i - whole] += value * value;
  }
  std::copy_n(own, lanes, sums);
}

// lanes[i % 8] += dw[i] * (v[i] * factor)
template <class T>
WARPTAPE_INLINE void products_along_as(const T* dw, const T* v, int64_t count, double factor,
                                       double* sums) {
  double own[lanes];
  std::copy_n(sums, lanes, own);
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      own[lane] += dw[i + lane] * (v[i + lane] * factor);
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    own[i - whole] += dw[i] * (v[i] * factor);
  }
  std::copy_n(own, lanes, sums);
}

template <class T>
WARPTAPE_INLINE void squares_across_as(const T* __restrict values, int64_t count,
                                       double* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) {
    const double value = values[i];
    sums[i] += value * value;
  }
}

template <class T>
WARPTAPE_INLINE void products_across_as(const T* __restrict dw, const T* __restrict v,
                                        int64_t count, const double* __restrict factors,
                                        double* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) {
    sums[i] += dw[i] * (v[i] * factors[i]);
  }
}

// How v becomes w: it is brought near 1 by a power of two first, so that nothing overflows or
// vanishes that the result does not.
struct Scale {
  double unit;
  double gain;
};

template <class T, class W>
WARPTAPE_INLINE void scale_along_as(const T* __restrict v, int64_t count, Scale scale,
                                    W* __restrict w) {
  for (int64_t i = 0; i < count; ++i) {
    w[i] = static_cast<W>(static_cast<T>(scale.gain * (v[i] * scale.unit)));
  }
}

template <class T, class W>
WARPTAPE_INLINE void scale_across_as(const T* __restrict v, int64_t count,
                                     const double* __restrict units, const double* __restrict gains,
                                     W* __restrict w) {
  for (int64_t i = 0; i < count; ++i) {
    w[i] = static_cast<W>(static_cast<T>(gains[i] * (v[i] * units[i])));
  }
}

// dv = scale (dw - v inverse projection), with scale = g / ||v||, inverse = 1 / ||v||.
struct Gradient {
  double scale;
  double inverse;
  double projection;
};

template <class T>
WARPTAPE_INLINE void gradient_along_as(const T* __restrict dw, const T* __restrict v, int64_t count,
                                       Gradient of, bool add, T* __restrict dv) {
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

// The three factors of every element.
struct Gradients {
  const double* scales;
  const double* inverses;
  const double* projections;
};

template <class T>
WARPTAPE_INLINE void gradient_across_as(const T* __restrict dw, const T* __restrict v,
                                        int64_t count, Gradients of, bool add, T* __restrict dv) {
  const double* __restrict scales = of.scales;
  const double* __restrict inverses = of.inverses;
  const double* __restrict projections = of.projections;
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
void squares_along(const T* values, int64_t count, double factor, double* sums) {
  squares_along_as(values, count, factor, sums);
}
WARPTAPE_CLONES void squares_along(const float* values, int64_t count, double factor,
                                   double* sums) {
  squares_along_as(values, count, factor, sums);
}
template <class T>
void products_along(const T* dw, const T* v, int64_t count, double factor, double* sums) {
  products_along_as(dw, v, count, factor, sums);
}
WARPTAPE_CLONES void products_along(const float* dw, const float* v, int64_t count, double factor,
                                    double* sums) {
  products_along_as(dw, v, count, factor, sums);
}
template <class T>
void squares_across(const T* values, int64_t count, double* sums) {
  squares_across_as(values, count, sums);
}
WARPTAPE_CLONES void squares_across(const float* values, int64_t count, double* sums) {
  squares_across_as(values, count, sums);
}
template <class T>
void products_across(const T* dw, const T* v, int64_t count, const double* factors, double* sums) {
  products_across_as(dw, v, count, factors, sums);
}
WARPTAPE_CLONES void products_across(const float* dw, const float* v, int64_t count,
                                     const double* factors, double* sums) {
  products_across_as(dw, v, count, factors, sums);
}
template <class T, class W>
void scale_along(const T* v, int64_t count, Scale scale, W* w) {
  scale_along_as(v, count, scale, w);
}
WARPTAPE_CLONES void scale_along(const float* v, int64_t count, Scale scale, float* w) {
  scale_along_as(v, count, scale, w);
}
template <class T, class W>
void scale_across(const T* v, int64_t count, const double* units, const double* gains, W* w) {
  scale_across_as(v, count, units, gains, w);
}
WARPTAPE_CLONES void scale_across(const float* v, int64_t count, const double* units,
                                  const double* gains, float* w) {
  scale_across_as(v, count, units, gains, w);
}
template <class T>
void gradient_along(const T* dw, const T* v, int64_t count, Gradient of, bool add, T* dv) {
  gradient_along_as(dw, v, count, of, add, dv);
}
WARPTAPE_CLONES void gradient_along(const float* dw, const float* v, int64_t count, Gradient of,
                                    bool add, float* dv) {
  gradient_along_as(dw, v, count, of, add, dv);
}
template <class T>
void gradient_across(const T* dw, const T* v, int64_t count, Gradients of, bool add, T* dv) {
  gradient_across_as(dw, v, count, of, add, dv);
}
WARPTAPE_CLONES void gradient_across(const float* dw, const float* v, int64_t count, Gradients of,
                                     bool add, float* dv) {
  gradient_across_as(dw, v, count, of, add, dv);
}

}  // namespace
}  // namespace warptape::weight_norm_lines
