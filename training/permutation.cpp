#include "training/permutation.h"

#include <numeric>
#include <utility>

#include "core/random.h"

namespace warptape {

std::vector<int64_t> random_permutation(int64_t count, uint64_t seed, Purpose purpose,
                                        uint64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  // Generators count their draws up from 0; the purpose in the top bits keeps clear of them.
  const uint64_t stream = (static_cast<uint64_t>(purpose) << 56) + epoch;
  for (size_t i = order.size(); i > 1; --i) {  // Fisher-Yates
    const PhiloxBlock block = philox(i, stream, seed);
    const uint64_t word = (uint64_t{block[0]} << 32) | block[1];
    std::swap(order[i - 1], order[word % i]);
  }
  return order;
}

}  // namespace warptape
