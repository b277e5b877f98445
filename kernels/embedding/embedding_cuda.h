#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"
#include "kernels/embedding/embedding_rows.h"

namespace warptape::on_cuda {

// bad_index: the code that is reported with the place and the value of what is no row.
template <class T>
void embedding_forward(gpu::StreamHandle stream, const EmbeddingRows& rows, const int64_t* index,
                       const T* weight, gpu::ErrorReport* report, int bad_index, T* y);

// Rows of dy, by the row that they go to (EmbeddingRows::target).
struct SortedRows {
  const int* targets;
  const int* places;  // rows of dy

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(targets);
    visit(places);
  }
};

// A sort by digits of 8 bits, from the lowest, each pass of which keeps the order of equal ones.
struct EmbeddingSort {
  static constexpr int digits = 256;
  static constexpr int chunk = 256;  // rows of dy that a block counts

  // Of room for numbers: two tables of targets, and of places, in turn; counts by chunk and digit;
  // counts by digit.
  static int64_t chunks(const EmbeddingRows& rows) { return (rows.count + chunk - 1) / chunk; }
  static int64_t numbers(const EmbeddingRows& rows) {
    return 4 * rows.count + (chunks(rows) + 1) * digits;
  }
};
SortedRows sort_embedding_rows(gpu::StreamHandle stream, const EmbeddingRows& rows,
                               const int64_t* index, int* numbers);

// dweight holds zeros. partials: 2 * rows.pieces() * rows.columns elements.
template <class T>
void embedding_backward(gpu::StreamHandle stream, const EmbeddingRows& rows,
                        const SortedRows& sorted, const T* dy, double* partials,
                        Compute<T>* dweight);

}  // namespace warptape::on_cuda
