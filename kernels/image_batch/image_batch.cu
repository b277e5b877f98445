#include "core/element_types.h"
#include "kernels/image_batch/image_batch.cuh"

#include <algorithm>

namespace warptape::on_cuda {
namespace {

// Elements of a result that a band has about, and bytes of pixels that it may stage, so that its
// shared memory is not what limits the blocks of an SM.
constexpr int64_t band_elements = 4096;
constexpr int64_t most_staged = 24 << 10;

ImageBands bands_of(const ImageBatchShape& shape) {
  ImageBands bands;
  const int64_t row = int64_t{shape.size} * shape.channels;
  bands.rows = static_cast<int>(std::clamp<int64_t>(band_elements / row, 1, shape.size));
  bands.count = (shape.size + bands.rows - 1) / bands.rows;
  int64_t pixel_rows = 0;
  for (int first = 0; first < shape.size; first += bands.rows) {
    const int last = std::min(first + bands.rows, shape.size) - 1;
    pixel_rows = std::max<int64_t>(
        pixel_rows, bilinear::tap(last, shape.height, shape.row_scale).second -
                        bilinear::tap(first, shape.height, shape.row_scale).first + 1);
  }
  // A third of a line of banks beyond whole lines: three channels of a pixel lie in different
  // banks.
  const int64_t pitch = (pixel_rows * shape.width + 127) / 128 * 128 + 48;
  bands.pitch = pitch * shape.channels <= most_staged ? static_cast<int>(pitch) : 0;
  return bands;
}

template <class T, int E, bool Staged>
void launch_bands(gpu::StreamHandle stream, const ImageBatchShape& shape, const ImageBands& bands,
                  const uint8_t* images, const int64_t* labels, const int64_t* indices, T* to,
                  int64_t* to_labels, gpu::ErrorReport* report) {
  launch(image_batch_kernel<T, E, Staged>,
         {.grid = dim3(static_cast<unsigned>(shape.batch * bands.count)),
          .block = dim3(image_batch_threads),
          .smem = static_cast<size_t>(bands.pitch) * static_cast<size_t>(shape.channels),
          .stream = stream,
          .name = "image_batch"},
         shape, bands, images, labels, indices, to, to_labels, report);
}

}  // namespace

template <class T>
void image_batch(gpu::StreamHandle stream, const ImageBatchShape& shape, const uint8_t* images,
                 const int64_t* labels, const int64_t* indices, T* to, int64_t* to_labels,
                 gpu::ErrorReport* report) {
  constexpr int E = simt::pack_size<T>;
  const ImageBands bands = bands_of(shape);
  const int64_t row = int64_t{shape.size} * shape.channels;
  auto* run = launch_bands<T, 1, true>;
  if (bands.pitch == 0) {  // few elements to write for many pixels to read
    run = launch_bands<T, 1, false>;
  } else if (row % E == 0 && simt::is_aligned16(to)) {
    run = launch_bands<T, E, true>;
  }
  run(stream, shape, bands, images, labels, indices, to, to_labels, report);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                           \
  template void image_batch(gpu::StreamHandle, const ImageBatchShape&, const uint8_t*, \
                            const int64_t*, const int64_t*, T*, int64_t*, gpu::ErrorReport*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
