#pragma once
#include <cstdint>
#include <vector>

namespace warptape {

// What random numbers are for; each use has its own.
enum class Purpose : uint64_t { Shuffle = 1, Split = 2, MadeData = 3, Pixels = 4, Characters = 5 };

// The number of a stream of random words: of an epoch, of a set of data.
uint64_t stream_of(Purpose purpose, uint64_t number);

// A random order of 0 .. count - 1 that is a function of its arguments alone, so that a resumed run
// sees the order that an uninterrupted one does.
std::vector<int64_t> random_permutation(int64_t count, uint64_t seed, Purpose purpose,
                                        uint64_t epoch);

}  // namespace warptape
