#pragma once
// Convolutions along lines on the CPU, float32: x (N, C, L) and y (N, O, L') row-major, stride 1,
// one group. Vectors run along the line, so that numbers of channels need no padding and every
// dilation costs the same; zeros beside a line are neither stored nor multiplied. oneDNN is slower
// here by far for the few channels that such models have.

#include "core/tensor.h"
#include "kernels/conv1d/line_epilogue.h"
#include "kernels/geometry/conv_geometry.h"

namespace warptape {

// Whether they are the ones to take. geometry: of rank 1, as asked.
bool lines_serve(DType dtype, const ConvGeometry& geometry);

// epilogue: may be null. All outputs are overwritten, but for dx where the gradient is to be added
// to it: the bits are those of a sum behind. mask: may be null; applied to dx, which is one of its
// two gradients. Results do not depend on the number of threads.
void lines_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
                   const LineEpilogueLoops* epilogue, Tensor& y);
void lines_data_grad(const Tensor& dy, const Tensor& weight, const ConvGeometry& g, Tensor& dx,
                     bool adds, const LineMask* mask);
// Either gradient may be null.
void lines_filter_grads(const Tensor& dy, const Tensor& x, const ConvGeometry& g, Tensor* dweight,
                        Tensor* dbias);

// For benchmarks: so many rounds of multiply-adds in registers by the level in use, of which no two
// need wait for each other. Returns their FLOPs.
int64_t run_line_fmas(int64_t rounds);

// The levels of instructions, whose vectors have 4, 8 and 16 floats. The longest that the processor
// has are used; tests choose others. Baseline rounds products before it adds them, the others do
// not.
enum class LineInstructions { Baseline, Avx2, Avx512 };
LineInstructions best_line_instructions();
void use_line_instructions(LineInstructions instructions);  // no more than the best

}  // namespace warptape
