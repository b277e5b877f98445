#include "kernels/cross_entropy/cross_entropy.cuh"

#include "core/element_types.h"
#include "core/elementwise.cuh"

namespace warptape::on_cuda {
namespace {

struct Multiply : elementwise::NoPointers {
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy, T gradient) const {
    return dy * gradient;
  }
};

}  // namespace

void count_labels(gpu::StreamHandle stream, const int64_t* labels, int64_t count,
                  int64_t ignore_index, CrossEntropyCounters* counters) {
  constexpr int64_t per_block = 4096;
  launch(cross_entropy_detail::count_labels_kernel,
         {.grid = dim3(static_cast<unsigned>((count + per_block - 1) / per_block)),
          .block = dim3(256),
          .stream = stream,
          .name = "count_labels"},
         labels, count, per_block, ignore_index, counters);
}

template <class T>
void cross_entropy(gpu::StreamHandle stream, const rows::Plan& plan,
                   const CrossEntropySettings& settings, const T* logits, const int64_t* labels,
                   gpu::ErrorReport* report, const CrossEntropyWorkspace& workspace, T* loss,
                   T* gradient) {
  using Op = cross_entropy_detail::CrossEntropy<T>;
  const Op op{settings, labels, report, workspace.counters, workspace.partials, loss};
  static_assert(sizeof(rows::State<Op>) <= CrossEntropyWorkspace::state_bytes);
  rows::run("cross_entropy", stream, plan, op, rows::Inputs<T, 1>{{logits}}, gradient, false,
            static_cast<rows::State<Op>*>(workspace.states));
}

template <class T>
void scale_gradient(gpu::StreamHandle stream, int64_t n, const T* dy, const T* gradient, T* to,
                    bool add) {
  StridedLoop<3> loop = elementwise::flat_loop<3>(n);
  loop.stride[1][0] = 0;  // dy
  elementwise::run("cross_entropy_backward", stream, loop, Multiply{}, add, to,
                   elementwise::Inputs<T, 2>{{dy, gradient}});
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void cross_entropy(gpu::StreamHandle, const rows::Plan&, const CrossEntropySettings&, \
                              const T*, const int64_t*, gpu::ErrorReport*,                       \
                              const CrossEntropyWorkspace&, T*, T*);                             \
  template void scale_gradient(gpu::StreamHandle, int64_t, const T*, const T*, T*, bool);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
