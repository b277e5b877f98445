#pragma once
// What the *_onednn.cpp files share. Included by them alone.

#include <dnnl.hpp>
#include <map>
#include <utility>

#include "core/dtype.h"

namespace warptape {

dnnl::engine& onednn_engine();
dnnl::stream& onednn_stream();  // of this thread

// Of float32 or bfloat16.
dnnl::memory::data_type onednn_type(DType dtype);

// An implementation of oneDNN's last resort: many times slower than our own loops.
bool is_reference_implementation(const char* info);

// Primitives by what they depend on, which take long to make. One per thread and kind: a primitive
// is made for a number of threads.
template <class Key, class Made>
class PrimitiveCache {
 public:
  // What make() gives for this key, made once; a Made{} where oneDNN refuses it. Good until the
  // next call.
  template <class Make>
  const Made& get(const Key& key, const Make& make) {
    const auto found = made_.find(key);
    if (found != made_.end()) {
      return found->second;
    }
    if (made_.size() == most) {
      made_.clear();  // sizes that keep changing, as sequences' lengths do
    }
    Made made;
    try {
      made = make();
    } catch (const dnnl::error&) {
    }
    return made_.emplace(key, std::move(made)).first->second;
  }

 private:
  static constexpr size_t most = 1024;
  std::map<Key, Made> made_;
};

}  // namespace warptape
