#pragma once
#include <mutex>

#include "core/kept_value.h"
#include "core/operand.h"

namespace warptape {

// A float32 parameter in bfloat16 at a fixed address, rounded once per change of the parameter. Any
// number of threads may use one, as long as nothing writes to the parameter meanwhile. A thread
// that works on another stream than the one that rounded it gets a copy of its own.
class RoundedValue final : public KeptValue {
 public:
  // x.to(bfloat16), recorded as that is. x: the parameter, always the same one.
  Tensor of(const Operand& x);

  Tensor tensor() override;
  bool is_fresh() override;
  void refresh() override;
  void mark_fresh() override;
  void forget() override;

 private:
  bool is_of(const Tensor& value) const;
  void compute(const Tensor& value);
  void remember(const Tensor& value);

  std::mutex mutex_;  // held by whoever reads or writes the rest
  std::weak_ptr<ParameterState> parameter_;
  Tensor rounded_;
  Tensor value_;  // that it is of, as of this version
  uint64_t version_ = 0;
  DeviceBackend::Stream stream_ = nullptr;  // on which it was written
};

}  // namespace warptape
