#include "training/permutation.h"

#include <numeric>
#include <utility>

#include "core/random.h"

namespace warptape {

uint64_t stream_of(Purpose purpose, uint64_t number) {
  // Generators count their draws up from 0; the purpose in the top bits keeps clear of them.
  return (static_cast<uint64_t>(purpose) << 56) + number;
}

std::vector<int64_t> random_permutation(int64_t count, uint64_t seed, Purpose purpose,
                                        uint64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  const uint64_t stream = stream_of(purpose, epoch);
  for (size_t i = order.size(); i > 1; --i) {  // Fisher-Yates
    const PhiloxBlock block = philox(i, stream, seed);
    const uint64_t word = (uint64_t{block[0]} << 32) | block[1];
    std::swap(order[i - 1], order[word % i]);
  }
  return order;
}

}  // namespace warptape
