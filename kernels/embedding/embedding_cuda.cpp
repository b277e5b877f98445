#include "kernels/embedding/embedding_cuda.h"

#include "core/primitives.h"
#include "kernels/embedding/embedding_kernels.h"
#include "kernels/gather/index_report.h"

namespace warptape {

void embedding_forward_cuda(const Tensor& index, const Tensor& weight, Tensor& y) {
  const EmbeddingRows rows{index.numel(), weight.size(0), weight.size(1), -1};
  dispatch_floating(weight.dtype(), [&]<class T>() {
    on_cuda::embedding_forward(gpu::current_stream(), rows, index.data<int64_t>(), weight.data<T>(),
                               gpu::report_word(), bad_index_code("embedding", rows.rows),
                               y.mutable_data<T>());
  });
}

void embedding_backward_cuda(const EmbeddingRows& rows, const Tensor& index, const Tensor& dy,
                             Tensor& dweight) {
  primitives::fill(dweight, 0);
  if (rows.count * rows.columns == 0) {
    return;
  }
  // As bytes, because there is no dtype of 32-bit integers.
  const int64_t bytes = on_cuda::EmbeddingSort::numbers(rows) * static_cast<int64_t>(sizeof(int));
  Tensor numbers = Tensor::empty({bytes}, uint8, dy.device());
  Tensor partials = Tensor::empty({2 * rows.pieces() * rows.columns}, float64, dy.device());
  const gpu::StreamHandle stream = gpu::current_stream();
  const on_cuda::SortedRows sorted = on_cuda::sort_embedding_rows(
      stream, rows, index.data<int64_t>(), reinterpret_cast<int*>(numbers.mutable_data<uint8_t>()));
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::embedding_backward(stream, rows, sorted, dy.data<T>(), partials.mutable_data<double>(),
                                dweight.mutable_data<Compute<T>>());
  });
}

}  // namespace warptape
