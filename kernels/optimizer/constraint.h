#pragma once
// What a step keeps true of the rows of a weight: the slices along its first dimension, one per
// output channel, each contiguous in both memory formats. For the CPU and for kernels.

#include "core/element_types.h"
#include "core/simt/host_device.h"
#include "kernels/reduce/robust_norm.h"

namespace warptape {

// Behind the update a row w becomes
//   UnitRows     w / ||w||, as Loshchilov et al. 2024 (nGPT, arXiv 2410.01131) have it, and, but
//                for a constant factor, Karras et al. 2024 (EDM2, arXiv 2312.02696)
//   FixedRadius  w ||w before the update|| / ||w||: the norm that it had
// A row of zeros stays one: nothing says where it points. Its radius is 0, so that FixedRadius
// undoes any update of it.
enum class Constraint : int { None, UnitRows, FixedRadius };
inline constexpr int constraints = 3;

// How a row of one norm gets another. It is brought near 1 by a power of two first, so that nothing
// overflows or vanishes that the result does not.
template <class T>
struct RowProjection {
  Compute<T> unit;
  Compute<T> gain;

  // wanted: the norm that it shall have.
  static WARPTAPE_HOST_DEVICE RowProjection make(double norm, double wanted) {
    const double own = unit_for<Compute<T>>(norm);
    const double ratio = norm == 0 ? 0.0 : wanted / (norm * own);
    return {static_cast<Compute<T>>(own), static_cast<Compute<T>>(ratio)};
  }
  WARPTAPE_HOST_DEVICE Compute<T> operator()(Compute<T> w) const { return gain * (w * unit); }
};

}  // namespace warptape
