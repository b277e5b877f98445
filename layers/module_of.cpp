#include "layers/module_of.h"

#include <fmt/format.h>

namespace warptape::detail {

void refuse_one_input(const Module& module, size_t wanted, const Site& site) {
  throw ValueError(fmt::format("[{}] inputs: got 1, wanted {}", module.type_name(), wanted) +
                   at(site));
}

void refuse_output_hooks(const Module& module) {
  throw ValueError(fmt::format("[{}] a forward hook wants a module that returns one Tensor",
                               module.type_name()));
}

}  // namespace warptape::detail
