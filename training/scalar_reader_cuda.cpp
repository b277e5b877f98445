#include <cstring>
#include <deque>
#include <utility>

#include "core/check.h"
#include "core/device/pinned_buffer.h"
#include "training/scalar_reader.h"

namespace warptape {
namespace {

constexpr size_t most_scalars = 8;
constexpr size_t bytes_each = sizeof(double);

// What one push copies.
struct Copies {
  gpu::PinnedBuffer values{most_scalars * bytes_each};
  std::vector<DType> dtypes;
  gpu::Event done;
};

class CudaReader final : public ScalarReader {
 public:
  ~CudaReader() override {
    try {
      for (const auto& copies : waiting_) {
        copies->done.synchronize();
      }
    } catch (const Error&) {
      // A fault of the device sticks: whoever synchronises next is told.
    }
  }

  void push(const std::vector<Tensor>& scalars) override {
    check<ValueError>(scalars.size() <= most_scalars, "[ScalarReader] got {} scalars, wanted {}",
                      scalars.size(), most_scalars);
    std::unique_ptr<Copies> copies = take_free();
    const gpu::StreamHandle stream = gpu::current_stream();
    for (const Tensor& scalar : scalars) {
      check<ShapeError>(scalar.numel() == 1, "[ScalarReader] got shape {}, wanted one element",
                        scalar.shape());
      char* to = copies->values.data() + copies->dtypes.size() * bytes_each;
      if (scalar.device() == cpu) {
        std::memcpy(to, scalar.raw_data(), static_cast<size_t>(scalar.bytes()));
      } else {
        gpu::copy_to_pinned(to, scalar.raw_data(), static_cast<size_t>(scalar.bytes()), stream);
      }
      copies->dtypes.push_back(scalar.dtype());
    }
    copies->done.record(stream);
    waiting_.push_back(std::move(copies));
  }

  std::vector<double> pop() override {
    std::unique_ptr<Copies> copies = std::move(waiting_.front());
    waiting_.pop_front();
    copies->done.synchronize();
    gpu::raise_report();
    std::vector<double> values;
    for (DType dtype : copies->dtypes) {
      const char* from = copies->values.data() + values.size() * bytes_each;
      dispatch_all(dtype, [&]<class T>() {
        T value{};
        std::memcpy(&value, from, sizeof value);
        values.push_back(static_cast<double>(value));
      });
    }
    free_.push_back(std::move(copies));
    return values;
  }

  size_t waiting() const override { return waiting_.size(); }
  size_t worth_waiting() const override { return 1; }

 private:
  // Pinned memory is dear to make: it is used again.
  std::unique_ptr<Copies> take_free() {
    if (free_.empty()) {
      return std::make_unique<Copies>();
    }
    std::unique_ptr<Copies> copies = std::move(free_.back());
    free_.pop_back();
    copies->dtypes.clear();
    return copies;
  }

  std::deque<std::unique_ptr<Copies>> waiting_;
  std::vector<std::unique_ptr<Copies>> free_;
};

}  // namespace

std::unique_ptr<ScalarReader> make_cuda_scalar_reader() {
  return std::make_unique<CudaReader>();
}

}  // namespace warptape
