#pragma once
// How the tensor cores' operands lie in shared memory, and how a warp takes its fragments of them.
//
// An operand whose packs of 16 bytes lie along the depth is staged as [row][depth]; ldmatrix brings
// 8 rows of a pack each, of either type. One whose packs lie along the rows is staged as
// [depth][row]; of bfloat16 ldmatrix transposes it. Numbers of TF32 are too wide for that: there a
// thread reads a pack of four rows at its depth, and these rows belong to four matrices. So rows
// are exchanged among 32, which only what stores the results has to know (row_of_block).
//
// Packs are exchanged within a line such that neither copies nor fragments meet a bank twice.

#include "core/simt/simt.h"
#include "kernels/matrix/plan.h"

namespace warptape::matrix {

// A block's tile: 64 x 64 for each of Rows x Columns warps. Parts: instructions' depths in a step.
template <class Element, int Rows, int Columns, int Parts>
struct MmaTile {
  using T = Element;
  static constexpr int warp_columns = Columns;
  static constexpr int parts = Parts;
  static constexpr int pack = 16 / static_cast<int>(sizeof(T));
  static constexpr int rows = 64 * Rows;
  static constexpr int columns = 64 * Columns;
  static constexpr int depth = 2 * pack * Parts;
  static constexpr int line_packs = depth / pack;  // of a row
  static_assert(line_packs == 2 || line_packs == 4 || line_packs == 8);
  static constexpr TileSize size{rows, columns, depth};
  static constexpr int threads = 32 * Rows * Columns;
  static constexpr int resident_blocks = 256 / threads;  // of 255 registers a thread
  static constexpr int stages = mma_stages;
  static constexpr int staged_bytes =
      stages * (rows + columns) * depth * static_cast<int>(sizeof(T));
  static constexpr int slab_bytes = rows * columns * 4;  // where sums wait on their way
  static constexpr int shared_bytes = staged_bytes > slab_bytes ? staged_bytes : slab_bytes;
};

// Where a warp's 64 x 64 results lie in the tile.
template <class Tile>
struct WarpPlace {
  int row, column;

  __device__ explicit WarpPlace(unsigned thread) {
    const int warp = static_cast<int>(thread / 32);
    row = warp / Tile::warp_columns * 64;
    column = warp % Tile::warp_columns * 64;
  }
};

// Where the pack with (row, depth) of a tile is staged, in elements; lines: rows of the tile.
template <class Tile, bool along_depth, int lines>
WARPTAPE_HOST_DEVICE int staged_at(int row, int depth) {
  const auto r = static_cast<unsigned>(row);
  const auto d = static_cast<unsigned>(depth);
  constexpr unsigned pack = Tile::pack;
  if (along_depth) {
    // So many rows make 128 bytes, all banks.
    constexpr unsigned rows = 8 / Tile::line_packs;
    const unsigned slot = d / pack ^ r / rows % Tile::line_packs;
    return static_cast<int>(r * Tile::depth + slot * pack);
  }
  const unsigned slot = r / pack ^ (sizeof(typename Tile::T) == 2 ? d % 8 : d % 4 * 2);
  return static_cast<int>(d * lines + slot * pack);
}

// The fragments of 64 rows of an operand for one instruction's depth, in units of 8 rows: for the
// left operand in the order of mma's a, for the right one two b of 8 rows.
template <class Tile, bool along_depth, bool left, int lines>
struct Fragments {
  using T = typename Tile::T;
  static constexpr bool is_tf32 = sizeof(T) == 4;
  uint32_t words[4][4];

  // row: a multiple of 64. k: which instruction's depth of the tile.
  __device__ void load(const T* tile, int row, int k) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int depth = 2 * Tile::pack * k;
    if constexpr (!along_depth && is_tf32) {
#pragma unroll
      for (int high = 0; high < 2; ++high) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const auto four =
              simt::load16(tile + staged_at<Tile, false, lines>(row + 32 * half + lane / 4 * 4,
                                                                depth + 4 * high + lane % 4));
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            const int word = left ? e % 2 + 2 * high : e % 2 * 2 + high;
            words[2 * half + e / 2][word] = bits_of(four[e]);
          }
        }
      }
    } else {
      const int matrix = lane / 8;
      // Which of the four 8 x 8 matrices follow along the rows first.
      const int next_row = (left ? matrix % 2 : matrix / 2) * 8;
      const int next_depth = (left ? matrix / 2 : matrix % 2) * Tile::pack;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (along_depth) {
          simt::ldmatrix_x4(words[i],
                            tile + staged_at<Tile, true, lines>(row + 16 * i + next_row + lane % 8,
                                                                depth + next_depth));
        } else {
          simt::ldmatrix_x4_trans(
              words[i], tile + staged_at<Tile, false, lines>(row + 16 * i + next_row,
                                                             depth + next_depth + lane % 8));
        }
      }
    }
  }

  // For the instruction.
  __device__ uint32_t word(int i, int j) const {
    return is_tf32 ? simt::round_to_tf32(words[i][j]) : words[i][j];
  }

 private:
  static __device__ uint32_t bits_of(T value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    return bits;
  }
};

// sums[i][j]: of rows' units 2i and 2i + 1, columns' unit j.
template <class Tile, class A, class B>
__device__ void multiply(float (&sums)[4][8][4], const A& a, const B& b) {
  uint32_t right[8][2];
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    right[j][0] = b.word(j / 2, j % 2 * 2);
    right[j][1] = b.word(j / 2, j % 2 * 2 + 1);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const uint32_t left[4] = {a.word(i, 0), a.word(i, 1), a.word(i, 2), a.word(i, 3)};
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      if constexpr (sizeof(typename Tile::T) == 2) {
        simt::mma_m16n8k16(sums[i][j], left, right[j]);
      } else {
        simt::mma_m16n8k8_tf32(sums[i][j], left, right[j]);
      }
    }
  }
}

}  // namespace warptape::matrix
