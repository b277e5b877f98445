#include <array>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "kernels/reduce/robust_norm.h"
#include "kernels/weight_norm/weight_norm_kernels.h"
#include "kernels/weight_norm/weight_norm_lines.h"
#include "kernels/weight_norm/weight_norm_tiles.h"

namespace warptape {
namespace {

using namespace weight_norm_lines;
using weight_norm_tiles::most_across;
using weight_norm_tiles::most_columns;
using weight_norm_tiles::Tile;
using weight_norm_tiles::Tiles;

using OfColumns = std::array<double, most_columns>;
using OfElements = std::array<double, most_across>;

double total(const double* sums) {
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Calls along(offset, count, column) for the pieces of a tile that belong to one slice.
template <class Along>
void each_piece(const Tiles& tiles, const Tile& tile, const Along& along) {
  for (int64_t column = 0; column < tile.columns; ++column) {
    for (int64_t line = tile.first_line; line < tile.last_line; ++line) {
      along(tiles.start(tile, line) + column * tiles.column_stride(), tile.run,
            static_cast<size_t>(column));
    }
  }
}

// Calls across(offset, count) for the lines of a tile.
template <class Across>
void each_line(const Tiles& tiles, const Tile& tile, const Across& across) {
  for (int64_t line = tile.first_line; line < tile.last_line; ++line) {
    across(tiles.start(tile, line), tile.columns * tile.run);
  }
}

// The value of its column for each element of a line.
OfElements spread(const Tile& tile, const OfColumns& values) {
  OfElements result;
  for (int64_t column = 0; column < tile.columns; ++column) {
    std::fill_n(result.begin() + column * tile.run, tile.run, values[static_cast<size_t>(column)]);
  }
  return result;
}

// The sums of a tile's columns, where `along` and `across` add a piece, and a line.
template <class Along, class Across>
OfColumns sums_of(const Tiles& tiles, const Tile& tile, const Along& along, const Across& across) {
  OfColumns sums;
  if (!tiles.is_across()) {
    for (int64_t column = 0; column < tile.columns; ++column) {
      double own[lanes] = {};
      for (int64_t line = tile.first_line; line < tile.last_line; ++line) {
        along(tiles.start(tile, line) + column * tiles.column_stride(), tile.run, column, own);
      }
      sums[static_cast<size_t>(column)] = total(own);
    }
    return sums;
  }
  OfElements elements{};
  each_line(tiles, tile,
            [&](int64_t offset, int64_t count) { across(offset, count, elements.data()); });
  for (int64_t column = 0; column < tile.columns; ++column) {
    double sum = 0;
    for (int64_t i = 0; i < tile.run; ++i) {
      sum += elements[static_cast<size_t>(column * tile.run + i)];
    }
    sums[static_cast<size_t>(column)] = sum;
  }
  return sums;
}

template <class T>
OfColumns squares_of(const Tiles& tiles, const Tile& tile, const T* v) {
  return sums_of(
      tiles, tile,
      [&](int64_t offset, int64_t count, int64_t, double* sums) {
        squares_along(v + offset, count, 1, sums);
      },
      [&](int64_t offset, int64_t count, double* sums) {
        squares_across(v + offset, count, sums);
      });
}

// Calls body(tile) on several threads.
template <class Body>
void for_each_tile(const Tiles& tiles, const Body& body) {
  parallel_for(tiles.count(), default_grain / (tiles.elements() + 1) + 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t index = begin; index < end; ++index) {
                   body(tiles[index]);
                 }
               });
}

// Calls body(tile, values of its slices) for all tiles, where finish(slice, sum) makes a value of
// the sum that sums_of(tile) gives of a slice, or gives of its parts.
template <class Sums, class Finish, class Body>
void with_sums(const Tiles& tiles, int64_t slices, const Sums& sums_of, const Finish& finish,
               const Body& body) {
  const int64_t parts = tiles.parts();
  if (parts == 1) {
    for_each_tile(tiles, [&](const Tile& tile) {
      OfColumns values = sums_of(tile);
      for (int64_t column = 0; column < tile.columns; ++column) {
        double& value = values[static_cast<size_t>(column)];
        value = finish(tile.slice + column, value);
      }
      body(tile, values);
    });
    return;
  }
  std::vector<double> partial(static_cast<size_t>(slices * parts));  // slice after slice
  for_each_tile(tiles, [&](const Tile& tile) {
    const OfColumns sums = sums_of(tile);
    for (int64_t column = 0; column < tile.columns; ++column) {
      partial[static_cast<size_t>((tile.slice + column) * parts + tile.part)] =
          sums[static_cast<size_t>(column)];
    }
  });
  std::vector<double> of_slices(static_cast<size_t>(slices));
  parallel_for(slices, default_grain / parts + 1, [&](int64_t begin, int64_t end) {
    for (int64_t slice = begin; slice < end; ++slice) {
      double sum = 0;
      for (int64_t part = 0; part < parts; ++part) {
        sum += partial[static_cast<size_t>(slice * parts + part)];
      }
      of_slices[static_cast<size_t>(slice)] = finish(slice, sum);
    }
  });
  for_each_tile(tiles, [&](const Tile& tile) {
    OfColumns values;
    std::copy_n(of_slices.begin() + tile.slice, tile.columns, values.begin());
    body(tile, values);
  });
}

// The sum of squares of one slice, wherever its elements lie: where others overflowed or vanished.
template <class T>
double squares_of_slice(const NormSlices& at, int64_t slice, const T* v, double factor) {
  double sums[lanes] = {};
  for (int64_t outer = 0; outer < at.outer; ++outer) {
    const int64_t group = outer * at.groups + slice / at.columns;
    for (int64_t line = 0; line < at.lines; ++line) {
      const int64_t row = (group * at.lines + line) * at.columns + slice % at.columns;
      squares_along(v + row * at.run, at.run, factor, sums);
    }
  }
  return total(sums);
}

// Calls body(tile, norms of its slices) for all tiles.
template <class T, class Body>
void with_norms(const NormSlices& at, const Tiles& tiles, const T* v, const Body& body) {
  with_sums(
      tiles, at.count(), [&](const Tile& tile) { return squares_of(tiles, tile, v); },
      [&](int64_t slice, double sum) {
        if (is_safe_sum_of_squares(sum)) {
          return std::sqrt(sum);
        }
        const double other = squares_of_slice(at, slice, v, sum < 1 ? enlarging : reducing);
        return robust_root(sum, other, other);
      },
      body);
}

template <class T, class W>
void forward(WeightNormRows& weight) {
  const T* v = weight.v.data<T>();
  const T* g = weight.g.data<T>();
  W* w = weight.w.mutable_data<W>();
  double* inverse = weight.inv_norm.mutable_data<double>();
  const Tiles tiles(weight.slices);
  with_norms(weight.slices, tiles, v, [&](const Tile& tile, const OfColumns& norms) {
    OfColumns units;
    OfColumns gains;
    for (int64_t column = 0; column < tile.columns; ++column) {
      const auto i = static_cast<size_t>(column);
      inverse[tile.slice + column] = finite_inverse(norms[i]);
      units[i] = unit_for<double>(norms[i]);
      gains[i] = norms[i] == 0 ? 0.0 : g[tile.slice + column] / (norms[i] * units[i]);
    }
    if (!tiles.is_across()) {
      each_piece(tiles, tile, [&](int64_t offset, int64_t count, size_t i) {
        scale_along(v + offset, count, {units[i], gains[i]}, w + offset);
      });
      return;
    }
    const OfElements of_units = spread(tile, units);
    const OfElements of_gains = spread(tile, gains);
    each_line(tiles, tile, [&](int64_t offset, int64_t count) {
      scale_across(v + offset, count, of_units.data(), of_gains.data(), w + offset);
    });
  });
}

template <class T>
void backward(WeightNormGradient& weight) {
  const T* dw = weight.dw.data<T>();
  const T* v = weight.v.data<T>();
  const T* g = weight.g.data<T>();
  const double* inverse = weight.inv_norm.data<double>();
  T* dv = weight.dv.buffer.defined() ? weight.dv.buffer.mutable_data<T>() : nullptr;
  T* dg = weight.dg.buffer.defined() ? weight.dg.buffer.mutable_data<T>() : nullptr;
  const bool add_v = weight.dv.mode == WriteMode::Accumulate;
  const bool add_g = weight.dg.mode == WriteMode::Accumulate;
  const Tiles tiles(weight.slices);
  const auto inverses_of = [&](const Tile& tile) {
    OfColumns inverses;
    std::copy_n(inverse + tile.slice, tile.columns, inverses.begin());
    return inverses;
  };
  with_sums(
      tiles, weight.slices.count(),
      [&](const Tile& tile) {
        const OfElements factors =
            tiles.is_across() ? spread(tile, inverses_of(tile)) : OfElements{};
        return sums_of(
            tiles, tile,
            [&](int64_t offset, int64_t count, int64_t column, double* sums) {
              products_along(dw + offset, v + offset, count, inverse[tile.slice + column], sums);
            },
            [&](int64_t offset, int64_t count, double* sums) {
              products_across(dw + offset, v + offset, count, factors.data(), sums);
            });
      },
      [](int64_t, double sum) { return sum; },
      [&](const Tile& tile, const OfColumns& projections) {
        if (tile.part == 0 && dg != nullptr) {
          for (int64_t column = 0; column < tile.columns; ++column) {
            T& to = dg[tile.slice + column];
            const double projection = projections[static_cast<size_t>(column)];
            to = static_cast<T>(add_g ? to + projection : projection);
          }
        }
        if (dv == nullptr) {
          return;
        }
        const OfColumns inverses = inverses_of(tile);
        OfColumns scales;
        for (int64_t column = 0; column < tile.columns; ++column) {
          const auto i = static_cast<size_t>(column);
          scales[i] = g[tile.slice + column] * inverses[i];
        }
        if (!tiles.is_across()) {
          each_piece(tiles, tile, [&](int64_t offset, int64_t count, size_t i) {
            gradient_along(dw + offset, v + offset, count, {scales[i], inverses[i], projections[i]},
                           add_v, dv + offset);
          });
          return;
        }
        const OfElements of_scales = spread(tile, scales);
        const OfElements of_inverses = spread(tile, inverses);
        const OfElements of_projections = spread(tile, projections);
        const Gradients of{of_scales.data(), of_inverses.data(), of_projections.data()};
        each_line(tiles, tile, [&](int64_t offset, int64_t count) {
          gradient_across(dw + offset, v + offset, count, of, add_v, dv + offset);
        });
      });
}

}  // namespace

void weight_norm_forward_cpu(std::span<WeightNormRows> weights) {
  for (WeightNormRows& weight : weights) {
    if (weight.w.dtype() != weight.v.dtype()) {
      forward<float, simt::bfloat16>(weight);
      continue;
    }
    dispatch_floating(weight.v.dtype(), [&]<class T>() { forward<T, T>(weight); });
  }
}

void weight_norm_backward_cpu(std::span<WeightNormGradient> weights) {
  for (WeightNormGradient& weight : weights) {
    dispatch_floating(weight.v.dtype(), [&]<class T>() { backward<T>(weight); });
  }
}

void norms_of_slices_cpu(const Tensor& v, const NormSlices& slices, Tensor& norm) {
  dispatch_floating(v.dtype(), [&]<class T>() {
    T* to = norm.mutable_data<T>();
    const Tiles tiles(slices);
    with_norms(slices, tiles, v.data<T>(), [&](const Tile& tile, const OfColumns& norms) {
      for (int64_t column = 0; column < tile.columns; ++column) {
        to[tile.slice + column] = static_cast<T>(norms[static_cast<size_t>(column)]);
      }
    });
  });
}

}  // namespace warptape
