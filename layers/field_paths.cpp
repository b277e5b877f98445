#include "layers/field_paths.h"

#include "core/check.h"

namespace warptape {

std::string FieldPaths::add(const std::string& name) {
  std::string path = prefix_ + name;
  check<ValueError>(paths_.insert(path).second,
                    "[fields] {} lists two parameters with the name \"{}\", wanted one",
                    root_.type_name(), path);
  return path;
}

}  // namespace warptape
