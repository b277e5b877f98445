#include "layers/dropout.h"

#include "core/check.h"

namespace warptape {

Dropout::Dropout(double p, const Site& site) : p_(p) {
  check<ValueError>(p >= 0 && p <= 1, site, "[Dropout] p: got {}, wanted 0 to 1", p);
}

std::string Dropout::settings() const {
  return fmt::format("p={}, inplace=False", p_);
}

}  // namespace warptape
