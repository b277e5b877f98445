#include "layers/channel_dropout.h"

#include "core/check.h"

namespace warptape {

ChannelDropout::ChannelDropout(double p, int rank, const Site& site) : p_(p), rank_(rank) {
  check<ValueError>(p >= 0 && p <= 1, site, "[Dropout{}d] p: got {}, wanted 0 to 1", rank - 2, p);
}

Tensor ChannelDropout::forward(const Operand& x) {
  check_rank(type_name().c_str(), x, rank_, rank_ == 3 ? "(N, C, L)" : "(N, C, H, W)");
  return channel_dropout(x, p_, is_training());
}

std::string ChannelDropout::settings() const {
  return fmt::format("p={}, inplace=False", p_);
}

}  // namespace warptape
