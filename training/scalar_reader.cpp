#include "training/scalar_reader.h"

#include <deque>
#include <utility>

#include "core/device/on_device.h"
#include "core/error.h"

namespace warptape {
namespace {

class HostReader final : public ScalarReader {
 public:
  void push(const std::vector<Tensor>& scalars) override {
    std::vector<double>& values = values_.emplace_back();
    for (const Tensor& scalar : scalars) {
      values.push_back(scalar.item());
    }
  }
  std::vector<double> pop() override {
    std::vector<double> values = std::move(values_.front());
    values_.pop_front();
    return values;
  }
  size_t waiting() const override { return values_.size(); }
  size_t worth_waiting() const override { return 0; }

 private:
  std::deque<std::vector<double>> values_;
};

}  // namespace

std::unique_ptr<ScalarReader> ScalarReader::make(Device device) {
  if (device.type == DeviceType::CPU) {
    return std::make_unique<HostReader>();
  }
  backend(device);  // throws where it is not there
  if constexpr (has_gpu) {
    return make_cuda_scalar_reader();
  } else {
    return nullptr;
  }
}

}  // namespace warptape
