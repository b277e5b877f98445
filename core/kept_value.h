#pragma once
// What is computed of a parameter's value, perhaps with others', and kept until one of them is
// written to: a weight rounded to bfloat16, a weight that is normalised. Whoever knows that there
// is one, as an optimizer or a graph does, may write it in the launch that writes the value, and
// says so: then the next use finds it fresh.

#include <memory>

#include "core/parameter.h"

namespace warptape {

class KeptValue : public std::enable_shared_from_this<KeptValue> {
 public:
  KeptValue() = default;
  KeptValue(const KeptValue&) : KeptValue() {}  // a copy is nobody's yet
  KeptValue& operator=(const KeptValue&) = delete;
  virtual ~KeptValue();

  virtual Tensor tensor() = 0;    // its place, which lasts; undefined before it was computed
  virtual bool is_fresh() = 0;    // whether it is that of the values as they are now
  virtual void refresh() = 0;     // computes it where it is not; recorded on no tape
  virtual void mark_fresh() = 0;  // somebody else has computed it of the values as they are now
  virtual void forget() = 0;      // it is of no value that there is

  // What was computed last of this parameter; null where nothing is kept any more. Any thread may
  // ask.
  static std::shared_ptr<KeptValue> of(const ParameterState& parameter);
  // For who computes it: from now on it is what of() gives, if a shared pointer holds it.
  void keep_for(const ParameterState& parameter);

 private:
  uint64_t parameter_ = 0;  // ParameterState::id
};

}  // namespace warptape
