#pragma once
#include <cstdint>
#include <vector>

namespace warptape {

// What a permutation is for; each use has random numbers of its own.
enum class Purpose : uint64_t { Shuffle = 1, Split = 2 };

// A random order of 0 .. count - 1 that is a function of its arguments alone, so that a resumed run
// sees the order that an uninterrupted one does.
std::vector<int64_t> random_permutation(int64_t count, uint64_t seed, Purpose purpose,
                                        uint64_t epoch);

}  // namespace warptape
