#pragma once
// Python's pickle, as far as torch.save needs it for tensors: a strict subset that makes values and
// runs nothing. For .cpp files alone, as training/file.h.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace warptape {

// A value, in the order in which they were made. Containers name others by their index, so that a
// value may be in several places, or in itself.
struct PickleValue {
  enum class Kind { None, Bool, Int, Float, String, Tuple, List, Dict, Global, Call, Persistent };
  Kind kind = Kind::None;
  int64_t number = 0;              // Bool, Int
  double real = 0;                 // Float
  std::string text = {};           // String; Global: "module name"
  std::vector<size_t> items = {};  // Tuple, List; Dict: key, value, ...; Call: callee, arguments;
                                   // Persistent: the id
};

struct Pickle {
  std::vector<PickleValue> values;
  size_t root = 0;
};

// is_allowed(name): whether a global, "collections OrderedDict", may be named. fail(message) has to
// throw; messages say the byte, and the opcode that is not of the subset.
Pickle read_pickle(std::string_view bytes,
                   const std::function<bool(const std::string& name)>& is_allowed,
                   const std::function<void(const std::string& message)>& fail);

}  // namespace warptape
