#pragma once
// How much of a multiprocessor of sm_90 the blocks of a launch can fill.

#include <string>
#include <vector>

namespace warptape::tools {

struct Occupancy {
  int blocks = 0;  // on one multiprocessor
  int warps = 0;
  double fraction = 0;                  // of the warps that it could hold
  std::vector<std::string> limited_by;  // "blocks", "warps", "registers", "shared"
};

// registers: of a thread. shared: bytes of a block, static and dynamic.
Occupancy occupancy(int registers, int threads, int shared);

}  // namespace warptape::tools
