#pragma once
// Comparisons of two tensors, element by element, with NumPy's broadcasting: comparison<Functor>(
// name, a, b) is the whole op of a functor (functors.h). compare_cpu.cpp instantiates
// CompareCpu<Functor> for all of table.h, a .cu file CompareCuda<Functor, T> (compare.cuh) for
// each.

#include "core/device/on_device.h"
#include "core/operand.h"
#include "core/strided.h"
#include "kernels/pointwise/compare_cuda.h"

namespace warptape {

template <class Functor>
struct CompareCpu {
  static void run(const StridedLoop<4>& loop, const Tensor& a, const Tensor& b, Tensor& y);
};

using CompareKernel = void (*)(const char* name, const StridedLoop<4>& loop, const Tensor& a,
                               const Tensor& b, Tensor& y);

// Checks, allocates and runs. The output, of uint8, takes the memory format of the operand that has
// its rank (a's if both have). Operands of the kernel's loop: y, a, b, and one that is not there.
Tensor comparison(const char* name, const Operand& a, const Operand& b, CompareKernel kernel);

template <class Functor>
Tensor comparison(const char* name, const Operand& a, const Operand& b) {
  return comparison(name, a, b,
                    [](const char* op, const StridedLoop<4>& loop, const Tensor& in_a,
                       const Tensor& in_b, Tensor& y) {
                      on_device(
                          op, y.device(), [&] { CompareCpu<Functor>::run(loop, in_a, in_b, y); },
                          [&] {
                            dispatch_all(in_a.dtype(), [&]<class T>() {
                              CompareCuda<Functor, T>::run(op, gpu::current_stream(), loop,
                                                           in_a.data<T>(), in_b.data<T>(),
                                                           y.mutable_data<uint8_t>());
                            });
                          });
                    });
}

}  // namespace warptape
