// Barriers and warp collectives that not everybody reaches: errors that name the kernel, the block,
// the threads and the line.

#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

// Planted faults; Fault::None is the correct twin of each kernel.
enum class Fault {
  None,
  BarrierInABranch,
  BarrierAfterExit,
  TwoBarriersForOne,
  BarrierInALoopOfOwnLength
};

__global__ void meet(Fault fault, int* out) {
  const unsigned i = threadIdx.x;
  if (fault == Fault::BarrierAfterExit && i >= 40) {
    return;
  }
  if (fault == Fault::BarrierInABranch) {
    if (i % 2 == 0) {
      __syncthreads();
    }
  } else if (fault == Fault::TwoBarriersForOne) {
    if (i < 32) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  } else if (fault == Fault::BarrierInALoopOfOwnLength) {
    for (unsigned round = 0; round < 1 + i / 32; ++round) {
      __syncthreads();
    }
  } else {
    __syncthreads();
  }
  out[i] = 1;
}

std::string meet_error(Fault fault) {
  std::vector<int> out(64, 0);
  const std::string message =
      kernel_error({.grid = 1, .block = 64, .name = "meet"}, meet, fault, out.data());
  if (message.empty()) {
    EXPECT_EQ(out, std::vector<int>(64, 1));
  }
  return message;
}

TEST(Divergence, OfNoThreadIsFine) {
  for_each_seed(10, [] { EXPECT_EQ(meet_error(Fault::None), ""); });
}

TEST(Divergence, ABarrierInABranch) {
  for_each_seed(10, [] {
    expect_parts(
        meet_error(Fault::BarrierInABranch),
        {"[meet] divergent barrier: threads 0, 2, 4,", ", 62 wait at __syncthreads (",
         "divergence_test.cpp:", "32 of 64 threads have exited", "in block (0, 0, 0)", "seed "});
  });
}

TEST(Divergence, ABarrierThatExitedThreadsMiss) {
  for_each_seed(10, [] {
    expect_parts(meet_error(Fault::BarrierAfterExit),
                 {"[meet] divergent barrier: threads 0-39 wait at __syncthreads",
                  "24 of 64 threads have exited"});
  });
}

TEST(Divergence, TwoBarriersInPlaceOfOne) {
  for_each_seed(10, [] {
    expect_parts(meet_error(Fault::TwoBarriersForOne),
                 {"[meet] divergent barrier: threads ", " came to __syncthreads ("});
  });
}

TEST(Divergence, ABarrierInALoopOfOwnLength) {
  for_each_seed(10, [] {
    expect_parts(meet_error(Fault::BarrierInALoopOfOwnLength),
                 {"[meet] divergent barrier: threads 32-63 wait", "32 of 64 threads have exited"});
  });
}

// One warp's lanes at a barrier and at a shuffle: nobody can go on.
__global__ void shuffle_against_barrier(int* out) {
  int value = 3;
  if (threadIdx.x < 8) {
    __syncthreads();
  } else {
    value = __shfl_sync(0xFFFFFFFFu, value, 0);
  }
  out[threadIdx.x] = value;
}

TEST(Divergence, AShuffleAgainstABarrierIsADeadlock) {
  for_each_seed(10, [] {
    std::vector<int> out(32);
    expect_parts(kernel_error({.grid = 1, .block = 32, .name = "stuck"}, shuffle_against_barrier,
                              out.data()),
                 {"[stuck] deadlock:", "threads 0-7 wait at __syncthreads (",
                  "threads 8-31 wait at __shfl_sync (", "with mask 0xffffffff",
                  "0 of 32 threads have exited"});
  });
}

enum class MaskFault { None, OwnLaneMissing, LaneExited, LaneNeverWas, Primitive, Mask };

__global__ void use_mask(MaskFault fault, int* out) {
  const unsigned lane = threadIdx.x % 32;
  unsigned mask = 0x000000FFu;
  if (lane >= 8 && !(fault == MaskFault::OwnLaneMissing && lane == 9)) {
    return;
  }
  if (fault == MaskFault::LaneExited || fault == MaskFault::LaneNeverWas) {
    mask = 0x000001FFu;
  }
  if (fault == MaskFault::Mask && lane == 7) {
    mask = 0x00000080u;
  }
  if (fault == MaskFault::Primitive && lane == 2) {
    out[lane] = static_cast<int>(__ballot_sync(mask, 1));
  } else {
    out[lane] = __shfl_xor_sync(mask, static_cast<int>(lane), 1);
  }
}

std::string mask_error(MaskFault fault, unsigned threads = 32) {
  std::vector<int> out(32);
  return kernel_error({.grid = 1, .block = threads, .name = "mask"}, use_mask, fault, out.data());
}

TEST(Divergence, AProperMaskIsFine) {
  for_each_seed(10, [] { EXPECT_EQ(mask_error(MaskFault::None), ""); });
}

TEST(Divergence, AMaskMustNameItsOwnLane) {
  for_each_seed(10, [] {
    expect_parts(mask_error(MaskFault::OwnLaneMissing),
                 {"[mask] __shfl_xor_sync (", "divergence_test.cpp:",
                  "mask 0x000000ff of thread 9 (lane 9) does not name its own lane"});
  });
}

// Found at once or, where the lane exits later, as lanes that wait for it.
TEST(Divergence, AMaskMustNotNameAnExitedLane) {
  bool at_once = false;
  bool later = false;
  for_each_seed(30, [&] {
    const std::string message = mask_error(MaskFault::LaneExited);
    const bool named = message.find("names lanes that have exited") != std::string::npos;
    at_once = at_once || named;
    if (!named) {
      expect_parts(message, {"deadlock:", "wait at __shfl_xor_sync", "with mask 0x000001ff"});
      later = true;
    }
  });
  EXPECT_TRUE(at_once);
  EXPECT_TRUE(later);
}

TEST(Divergence, AMaskMustNotNameALaneThatNeverWas) {
  for_each_seed(10, [] {
    expect_parts(mask_error(MaskFault::LaneNeverWas, 8),
                 {"mask 0x000001ff", "names lanes that have exited or never were"});
  });
}

TEST(Divergence, DifferentPrimitivesOnOneMask) {
  for_each_seed(10, [] {
    expect_parts(mask_error(MaskFault::Primitive),
                 {"[mask] ", "__ballot_sync", "of its warp wait in", "__shfl_xor_sync"});
  });
}

TEST(Divergence, DifferentMasksOnOnePrimitive) {
  for_each_seed(10, [] {
    expect_parts(mask_error(MaskFault::Mask), {"[mask] ", "__shfl_xor_sync", "mask 0x000000ff"});
  });
}

__global__ void syncwarp_in_a_branch(bool fault, int* out) {
  if (!fault || threadIdx.x < 16) {
    __syncwarp();
  }
  out[threadIdx.x] = 1;
}

TEST(Divergence, ASyncwarpInABranch) {
  for_each_seed(10, [] {
    std::vector<int> out(32);
    EXPECT_EQ(kernel_error({.grid = 1, .block = 32}, syncwarp_in_a_branch, false, out.data()), "");
    EXPECT_NE(kernel_error({.grid = 1, .block = 32}, syncwarp_in_a_branch, true, out.data()), "");
  });
}

// Among many blocks, the one at fault is named, and the engine goes on to serve others.
__global__ void meet_in_one_block() {
  if (blockIdx.x != 5 || blockIdx.y != 1 || threadIdx.x != 3) {
    __syncthreads();
  }
}

TEST(Divergence, NamesTheBlock) {
  for_each_seed(5, [] {
    expect_parts(kernel_error({.grid = {7, 2}, .block = 32}, meet_in_one_block),
                 {"threads 0-2, 4-31 wait at __syncthreads", "in block (5, 1, 0)"});
    EXPECT_EQ(meet_error(Fault::None), "");
  });
}

}  // namespace
}  // namespace warptape::simt
