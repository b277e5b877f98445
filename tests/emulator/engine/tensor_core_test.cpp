#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

std::vector<bfloat16> random_bfloat16(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<bfloat16> result(count);
  for (bfloat16& value : result) {
    value = bfloat16(static_cast<float>(static_cast<int>(engine() % 2001) - 1000) / 300.0f);
  }
  return result;
}

// Matrix m is rows 8m to 8m + 7 of `in` (32 x 8).
template <bool Transposed>
__global__ void load_matrices(const bfloat16* in, uint32_t* out) {
  WARPTAPE_SHARED(bfloat16, matrices, [32][8]);
  for (int column = 0; column < 8; ++column) {
    matrices[threadIdx.x][column] = in[8 * threadIdx.x + column];
  }
  __syncwarp();
  uint32_t registers[4];
  if (Transposed) {
    ldmatrix_x4_trans(registers, matrices[threadIdx.x]);
  } else {
    ldmatrix_x4(registers, matrices[threadIdx.x]);
  }
  for (int m = 0; m < 4; ++m) {
    out[4 * threadIdx.x + m] = registers[m];
  }
}

template <bool Transposed>
void expect_matrices() {
  const std::vector<bfloat16> in = random_bfloat16(32 * 8, 1);
  std::vector<uint32_t> out(128);
  run_kernel({.grid = 1, .block = 32}, load_matrices<Transposed>, in.data(), out.data());
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned m = 0; m < 4; ++m) {
      for (unsigned i = 0; i < 2; ++i) {
        // PTX ISA: lane l holds row l / 4, columns 2 (l % 4) and the next.
        const unsigned row = lane / 4;
        const unsigned column = 2 * (lane % 4) + i;
        const bfloat16 expected =
            Transposed ? in[8 * (8 * m + column) + row] : in[8 * (8 * m + row) + column];
        EXPECT_EQ(out[4 * lane + m] >> (16 * i) & 0xFFFF, expected.bits)
            << "lane " << lane << ", matrix " << m;
      }
    }
  }
}

TEST(TensorCore, LdmatrixSpreadsFourMatrices) {
  expect_matrices<false>();
  expect_matrices<true>();
}

__global__ void load_matrices_misaligned(uint32_t* out) {
  WARPTAPE_SHARED(bfloat16, matrices, [33][8]);
  uint32_t registers[4];
  ldmatrix_x4(registers, matrices[threadIdx.x] + (threadIdx.x == 9 ? 4 : 0));
  out[threadIdx.x] = registers[0];
}

TEST(TensorCore, LdmatrixFromAMisalignedRowIsAnError) {
  std::vector<uint32_t> out(32);
  expect_parts(kernel_error({.grid = 1, .block = 32}, load_matrices_misaligned, out.data()),
               {"ldmatrix_x4: the address", "not aligned to 16 bytes", "thread 9"});
}

// One lane's row lies elsewhere than in shared memory: in device memory, or on the stack.
__global__ void load_matrices_from(const bfloat16* device_row, bool stack, uint32_t* out) {
  WARPTAPE_SHARED(bfloat16, matrices, [32][8]);
  alignas(16) bfloat16 own[8] = {};
  const bfloat16* row = matrices[threadIdx.x % 32];
  if (blockIdx.x == 1 && threadIdx.x == 41) {
    row = stack ? own : device_row != nullptr ? device_row : row;
  }
  uint32_t registers[4];
  ldmatrix_x4_trans(registers, row);
  out[blockIdx.x * blockDim.x + threadIdx.x] = registers[0];
}

TEST(TensorCore, LdmatrixReadsSharedMemoryOnly) {
  const Pack16<bfloat16> device_row{};
  std::vector<uint32_t> out(2 * 64);
  const auto error = [&](const bfloat16* row, bool stack) {
    return kernel_error({.grid = 2, .block = 64, .name = "from"}, load_matrices_from, row, stack,
                        out.data());
  };
  EXPECT_EQ(error(nullptr, false), "");
  for (const std::string& message : {error(device_row.values, false), error(nullptr, true)}) {
    expect_parts(message, {"[from] ldmatrix_x4_trans: the address",
                           "is not in the block's shared memory, thread 41, in block (1, 0, 0)"});
  }
}

__device__ uint32_t pair(bfloat16 low, bfloat16 high) {
  return low.bits | uint32_t{high.bits} << 16;
}

// c (16 x 8) += a (16 x 16) * b (16 x 8), fragments gathered as the PTX ISA draws them.
__global__ void multiply(const bfloat16* a, const bfloat16* b, float* c) {
  const unsigned g = threadIdx.x / 4;
  const unsigned t = threadIdx.x % 4;
  uint32_t fragment_a[4];
  uint32_t fragment_b[2];
  float fragment_c[4];
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = g + 8 * (i % 2);
    const unsigned k = 2 * t + 8 * (i / 2);
    fragment_a[i] = pair(a[16 * row + k], a[16 * row + k + 1]);
  }
  for (unsigned i = 0; i < 2; ++i) {
    const unsigned k = 2 * t + 8 * i;
    fragment_b[i] = pair(b[8 * k + g], b[8 * (k + 1) + g]);
  }
  for (unsigned i = 0; i < 4; ++i) {
    fragment_c[i] = c[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
  }
  mma_m16n8k16(fragment_c, fragment_a, fragment_b);
  for (unsigned i = 0; i < 4; ++i) {
    c[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = fragment_c[i];
  }
}

std::vector<double> reference_product(const std::vector<bfloat16>& a,
                                      const std::vector<bfloat16>& b, const std::vector<float>& c) {
  std::vector<double> result(c.begin(), c.end());
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      for (size_t k = 0; k < 16; ++k) {
        result[8 * row + column] += double{static_cast<float>(a[16 * row + k])} *
                                    double{static_cast<float>(b[8 * k + column])};
      }
    }
  }
  return result;
}

TEST(TensorCore, MmaEqualsTheMatrixProduct) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    const std::vector<bfloat16> a = random_bfloat16(16 * 16, seed);
    const std::vector<bfloat16> b = random_bfloat16(16 * 8, seed + 100);
    std::vector<float> c(16 * 8);
    for (size_t i = 0; i < c.size(); ++i) {
      c[i] = static_cast<float>(i) - 50.0f;
    }
    const std::vector<double> expected = reference_product(a, b, c);
    run_kernel({.grid = 1, .block = 32}, multiply, a.data(), b.data(), c.data());
    for (size_t i = 0; i < c.size(); ++i) {
      EXPECT_NEAR(c[i], expected[i], 1e-4) << i;
    }
  }
}

// The pair as kernels use it: A from row-major shared memory, B from shared memory that holds k x
// n.
__global__ void multiply_from_shared(const bfloat16* a, const bfloat16* b, float* c) {
  WARPTAPE_SHARED(bfloat16, rows, [16][16]);
  WARPTAPE_SHARED(bfloat16, columns, [16][16]);  // two matrices side by side; the left one is B
  const unsigned lane = threadIdx.x;
  for (unsigned i = lane; i < 256; i += 32) {
    rows[i / 16][i % 16] = a[i];
    columns[i / 16][i % 16] = i % 16 < 8 ? b[8 * (i / 16) + i % 16] : bfloat16(0.0f);
  }
  __syncwarp();
  uint32_t fragment_a[4];
  uint32_t fragment_b[4];
  ldmatrix_x4(fragment_a, &rows[lane % 16][lane / 16 * 8]);
  ldmatrix_x4_trans(fragment_b, &columns[lane % 16][lane / 16 * 8]);
  float sum[4] = {0, 0, 0, 0};
  const uint32_t left[2] = {fragment_b[0], fragment_b[1]};
  mma_m16n8k16(sum, fragment_a, left);
  for (unsigned i = 0; i < 4; ++i) {
    c[8 * (lane / 4 + 8 * (i / 2)) + 2 * (lane % 4) + i % 2] = sum[i];
  }
}

TEST(TensorCore, LdmatrixFeedsMma) {
  const std::vector<bfloat16> a = random_bfloat16(16 * 16, 5);
  const std::vector<bfloat16> b = random_bfloat16(16 * 8, 6);
  std::vector<float> c(16 * 8, 0.0f);
  const std::vector<double> expected = reference_product(a, b, c);
  for_each_seed(5, [&] {
    run_kernel({.grid = 1, .block = 32}, multiply_from_shared, a.data(), b.data(), c.data());
    for (size_t i = 0; i < c.size(); ++i) {
      EXPECT_NEAR(c[i], expected[i], 1e-4) << i;
    }
  });
}

// c (16 x 8) += a (16 x 8) * b (8 x 8) in TF32.
__global__ void multiply_tf32(const float* a, const float* b, float* c) {
  const unsigned g = threadIdx.x / 4;
  const unsigned t = threadIdx.x % 4;
  const auto rounded = [](float value) { return round_to_tf32(std::bit_cast<uint32_t>(value)); };
  uint32_t fragment_a[4];
  uint32_t fragment_b[2];
  float fragment_c[4];
  for (unsigned i = 0; i < 4; ++i) {
    fragment_a[i] = rounded(a[8 * (g + 8 * (i % 2)) + t + 4 * (i / 2)]);
    fragment_c[i] = c[8 * (g + 8 * (i / 2)) + 2 * t + i % 2];
  }
  for (unsigned i = 0; i < 2; ++i) {
    fragment_b[i] = rounded(b[8 * (t + 4 * i) + g]);
  }
  mma_m16n8k8_tf32(fragment_c, fragment_a, fragment_b);
  for (unsigned i = 0; i < 4; ++i) {
    c[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = fragment_c[i];
  }
}

// To 10 bits of mantissa, half away from zero.
double nearest_tf32(float value) {
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(value), &exponent);
  return std::ldexp(std::round(std::ldexp(mantissa, 11)), exponent - 11);
}

TEST(TensorCore, MmaOfTf32RoundsFactorsToTenBits) {
  std::mt19937 engine(4);
  std::uniform_real_distribution<float> between(-2, 2);
  std::vector<float> a(16 * 8);
  std::vector<float> b(8 * 8);
  std::vector<float> c(16 * 8);
  for (std::vector<float>* const matrix : {&a, &b, &c}) {
    for (float& value : *matrix) {
      value = between(engine);
    }
  }
  std::vector<double> expected(c.begin(), c.end());
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      for (size_t k = 0; k < 8; ++k) {
        expected[8 * row + column] +=
            nearest_tf32(a[8 * row + k]) * nearest_tf32(b[8 * k + column]);
      }
    }
  }
  run_kernel({.grid = 1, .block = 32}, multiply_tf32, a.data(), b.data(), c.data());
  for (size_t i = 0; i < c.size(); ++i) {
    // 8 additions of numbers up to 4 + 2 * 8.
    EXPECT_NEAR(c[i], expected[i], 8 * std::ldexp(34.0, -24)) << i;
  }
}

TEST(TensorCore, RoundsToTf32) {
  const auto rounded = [](float value) {
    return std::bit_cast<float>(round_to_tf32(std::bit_cast<uint32_t>(value)));
  };
  for (const float value : {0.0F, -0.0F, 1.0F, -3.5F, 1.0F + 0x1p-10F, 65504.0F, 0x1p-126F}) {
    EXPECT_EQ(std::bit_cast<uint32_t>(rounded(value)), std::bit_cast<uint32_t>(value)) << value;
  }
  EXPECT_EQ(rounded(1 + 0x1p-11F), 1 + 0x1p-10F);  // ties go away from zero
  EXPECT_EQ(rounded(-1 - 0x1p-11F), -1 - 0x1p-10F);
  EXPECT_EQ(rounded(1 + 0x1p-11F - 0x1p-23F), 1);
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
  EXPECT_EQ(rounded(-std::numeric_limits<float>::infinity()),
            -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace warptape::simt
