#include "training/epoch_order.h"

#include <algorithm>

#include "core/check.h"
#include "training/permutation.h"

namespace warptape {

int64_t EpochOrder::batches_per_epoch(int64_t rows) const {
  return rows / batch_size + (rows % batch_size != 0 && !drop_last ? 1 : 0);
}

std::vector<int64_t> EpochOrder::rows_of(const std::vector<int64_t>& rows, uint64_t epoch,
                                         int64_t left_out, const std::string& who) const {
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t batches = batches_per_epoch(count);
  check<ValueError>(left_out >= 0 && left_out <= batches,
                    "[{}] start: got {} batches to leave out, wanted 0 to {}", who, left_out,
                    batches);
  std::vector<int64_t> order = rows;
  if (shuffle) {
    const auto permutation = random_permutation(count, seed, Purpose::Shuffle, epoch);
    std::transform(permutation.begin(), permutation.end(), order.begin(),
                   [&](int64_t i) { return rows[static_cast<size_t>(i)]; });
  }
  // The last batch may be smaller, or there may be a rest that is dropped.
  const int64_t full = count / batch_size;
  const int64_t used = batches > full ? count : batches * batch_size;
  const int64_t skipped = left_out > full ? count : left_out * batch_size;
  order.resize(static_cast<size_t>(used));
  order.erase(order.begin(), order.begin() + skipped);
  return order;
}

}  // namespace warptape
