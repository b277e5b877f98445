#pragma once
// Launching an Op over the rows of a tensor; rows_op.cuh says what an Op has.

#include "kernels/rows/rows_columns_kernel.cuh"
#include "kernels/rows/rows_staged_kernel.cuh"
#include "kernels/rows/rows_team_kernel.cuh"

namespace warptape::rows {

template <class Op, class T>
using Kernel = void (*)(const Plan __grid_constant__, const Op, const Inputs<T, Op::inputs>, T*,
                        bool, const Chunks<Op>);

template <class Op, class T>
void launch_rows(const char* name, gpu::StreamHandle stream, const Plan& plan, Kernel<Op, T> kernel,
                 const Op& op, const Inputs<T, Op::inputs>& in, T* out, bool add,
                 const Chunks<Op>& chunks) {
  launch(kernel,
         {.grid = dim3(static_cast<unsigned>(plan.blocks), static_cast<unsigned>(plan.chunks)),
          .block = dim3(static_cast<unsigned>(plan.threads)),
          .smem = plan.shared_bytes,
          .stream = stream,
          .name = name},
         plan, op, in, out, add, chunks);
}

// states: device memory for plan.states() states of the Op.
template <class Op, class T>
void run(const char* name, gpu::StreamHandle stream, const Plan& plan, const Op& op,
         const Inputs<T, Op::inputs>& in, T* out, bool add, State<Op>* states) {
  constexpr int E = simt::pack_size<T>;
  Kernel<Op, T> kernel = staged_kernel<Op, T>;
  if (plan.layout == Layout::Team) {
    kernel = plan.packed ? team_kernel<E, Op, T> : team_kernel<1, Op, T>;
  } else if (plan.layout == Layout::Columns) {
    kernel = plan.packed ? columns_kernel<E, Op, T> : columns_kernel<1, Op, T>;
  }
  if (plan.chunks == 1) {
    launch_rows(name, stream, plan, kernel, op, in, out, add, Chunks<Op>{});
    return;
  }
  T* const none = nullptr;
  launch_rows(name, stream, plan, kernel, op, in, none, false, Chunks<Op>{Part::States, states});
  launch_rows(name, stream, plan, kernel, op, in, out, add, Chunks<Op>{Part::Values, states});
}

// For contiguous rows in aligned tensors, and Ops that write all that is wanted themselves.
template <class Op, class T>
void run_aligned(const char* name, gpu::StreamHandle stream, const Extents& extents, const Op& op,
                 const Inputs<T, Op::inputs>& in) {
  const Plan plan = make_plan<T>(extents, Op::inputs, true, Blocks::OnePerItem, false);
  Kernel<Op, T> kernel = staged_kernel<Op, T>;
  if (plan.layout == Layout::Team) {
    kernel = team_kernel<simt::pack_size<T>, Op, T>;
  }
  launch_rows<Op, T>(name, stream, plan, kernel, op, in, nullptr, false, Chunks<Op>{});
}

}  // namespace warptape::rows
