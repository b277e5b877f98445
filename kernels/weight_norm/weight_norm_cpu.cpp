#include <array>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "kernels/reduce/robust_norm.h"
#include "kernels/weight_norm/weight_norm_kernels.h"
#include "kernels/weight_norm/weight_norm_lines.h"
#include "kernels/weight_norm/weight_norm_stream.h"
#include "kernels/weight_norm/weight_norm_tiles.h"

namespace warptape {
namespace {

using namespace weight_norm_lines;
using weight_norm_stream::end_writing;
using weight_norm_stream::write_pieces;
using weight_norm_tiles::most_across;
using weight_norm_tiles::most_columns;
using weight_norm_tiles::Tile;
using weight_norm_tiles::Tiles;

static_assert(weight_norm_stream::most_of_piece >= weight_norm_tiles::most_elements_of_rows);

using OfColumns = std::array<double, most_columns>;
template <class C>
using OfElements = std::array<C, most_across>;

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
template <class C>
OfElements<C> spread(const Tile& tile, const OfColumns& values) {
  OfElements<C> result;
  for (int64_t column = 0; column < tile.columns; ++column) {
    std::fill_n(result.begin() + column * tile.run, tile.run,
                static_cast<C>(values[static_cast<size_t>(column)]));
  }
  return result;
}

// The sums of products of a and b, which may be the same, with the factor of their column, over
// what a tile has of each column.
template <class T>
OfColumns products_of(const Tiles& tiles, const Tile& tile, const T* a, const T* b,
                      const OfColumns& factors) {
  OfColumns sums;
  if (tiles.are_rows()) {
    const int64_t start = tiles.start(tile, 0);
    products_of_rows(a + start, b + start, tile.columns, tile.run, factors.data(), sums.data());
    return sums;
  }
  if (!tiles.is_across()) {
    for (int64_t column = 0; column < tile.columns; ++column) {
      const auto i = static_cast<size_t>(column);
      double own[lanes] = {};
      for (int64_t line = tile.first_line; line < tile.last_line; ++line) {
        const int64_t start = tiles.start(tile, line) + column * tiles.column_stride();
        products_along(a + start, b + start, tile.run, factors[i], own);
      }
      sums[i] = total(own);
    }
    return sums;
  }
  OfElements<double> of_elements;
  if (squares_need_scaling<T>) {
    of_elements = spread<double>(tile, factors);
  }
  OfElements<double> elements{};
  tiles.each_block(tile, [&](int64_t start, int64_t count, int64_t stride) {
    products_across(a + start, b + start, count, stride, tile.columns * tile.run,
                    of_elements.data(), elements.data());
  });
  for (int64_t column = 0; column < tile.columns; ++column) {
    double sum = 0;
    for (int64_t i = 0; i < tile.run; ++i) {
      sum += elements[static_cast<size_t>(column * tile.run + i)];
    }
    sums[static_cast<size_t>(column)] = sum;
  }
  return sums;
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
double squares_of_slice(const NormSlices& at, int64_t slice, const double* v, double factor) {
  double sums[lanes] = {};
  for (int64_t outer = 0; outer < at.outer; ++outer) {
    const int64_t group = outer * at.groups + slice / at.columns;
    for (int64_t line = 0; line < at.lines; ++line) {
      const int64_t row = (group * at.lines + line) * at.columns + slice % at.columns;
      scaled_squares_along(v + row * at.run, at.run, factor, sums);
    }
  }
  return total(sums);
}

template <class T>
double norm_of(const NormSlices& at, int64_t slice, const T* v, double sum) {
  if constexpr (squares_need_scaling<T>) {
    if (!is_safe_sum_of_squares(sum)) {
      const double other = squares_of_slice(at, slice, v, sum < 1 ? enlarging : reducing);
      return robust_root(sum, other, other);
    }
  }
  return std::sqrt(sum);
}

// Calls body(tile, norms of its slices) for all tiles.
template <class T, class Body>
void with_norms(const NormSlices& at, const Tiles& tiles, const T* v, const Body& body) {
  OfColumns ones;
  ones.fill(1);
  with_sums(
      tiles, at.count(), [&](const Tile& tile) { return products_of(tiles, tile, v, v, ones); },
      [&](int64_t slice, double sum) { return norm_of(at, slice, v, sum); }, body);
}

template <class T, class W>
void forward(WeightNormRows& weight, bool streams) {
  using C = Compute<T>;
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
      units[i] = unit_for<T>(norms[i]);
      gains[i] = norms[i] == 0 ? 0.0 : g[tile.slice + column] / (norms[i] * units[i]);
    }
    if (tiles.are_rows()) {
      const int64_t start = tiles.start(tile, 0);
      if (!streams || !scale_rows_past_caches(v + start, tile.columns, tile.run, units.data(),
                                              gains.data(), w + start)) {
        // Several rows are one piece.
        write_pieces(streams, tile.columns * tile.run, w + start,
                     [&](int64_t begin, int64_t size, W* to) {
                       scale_rows(v + start + begin, tile.columns, size / tile.columns,
                                  units.data(), gains.data(), to);
                     });
      }
    } else if (!tiles.is_across()) {
      each_piece(tiles, tile, [&](int64_t offset, int64_t count, size_t i) {
        const Scale<C> scale{static_cast<C>(units[i]), static_cast<C>(gains[i])};
        write_pieces(streams, count, w + offset, [&](int64_t begin, int64_t size, W* to) {
          scale_along(v + offset + begin, size, scale, to);
        });
      });
    } else {
      const auto of_units = spread<C>(tile, units);
      const auto of_gains = spread<C>(tile, gains);
      each_line(tiles, tile, [&](int64_t offset, int64_t count) {
        write_pieces(streams, count, w + offset, [&](int64_t begin, int64_t size, W* to) {
          const Scales<C> of{of_units.data() + begin, of_gains.data() + begin};
          scale_across(v + offset + begin, size, of, to);
        });
      });
    }
    end_writing(streams);
  });
}

template <class T>
void backward(WeightNormGradient& weight, bool may_stream) {
  using C = Compute<T>;
  const T* dw = weight.dw.data<T>();
  const T* v = weight.v.data<T>();
  const T* g = weight.g.data<T>();
  const double* inverse = weight.inv_norm.data<double>();
  T* dv = weight.dv.buffer.defined() ? weight.dv.buffer.mutable_data<T>() : nullptr;
  T* dg = weight.dg.buffer.defined() ? weight.dg.buffer.mutable_data<T>() : nullptr;
  const bool add_v = weight.dv.mode == WriteMode::Accumulate;
  const bool add_g = weight.dg.mode == WriteMode::Accumulate;
  const bool streams = may_stream && !add_v;
  const Tiles tiles(weight.slices);
  const auto inverses_of = [&](const Tile& tile) {
    OfColumns inverses;
    std::copy_n(inverse + tile.slice, tile.columns, inverses.begin());
    return inverses;
  };
  const auto projection_of = [&](int64_t slice, double sum) {
    return squares_need_scaling<T> ? sum : sum * inverse[slice];
  };
  with_sums(
      tiles, weight.slices.count(),
      [&](const Tile& tile) { return products_of(tiles, tile, dw, v, inverses_of(tile)); },
      projection_of,
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
        if (tiles.are_rows()) {
          const int64_t start = tiles.start(tile, 0);
          const RowGradients of{scales.data(), inverses.data(), projections.data()};
          if (!streams || !gradient_rows_past_caches(dw + start, v + start, tile.columns, tile.run,
                                                     of, dv + start)) {
            write_pieces(streams, tile.columns * tile.run, dv + start,
                         [&](int64_t begin, int64_t size, T* to) {
                           const int64_t at = start + begin;
                           gradient_rows(dw + at, v + at, tile.columns, size / tile.columns, of,
                                         add_v, to);
                         });
          }
        } else if (!tiles.is_across()) {
          each_piece(tiles, tile, [&](int64_t offset, int64_t count, size_t i) {
            const Gradient<C> of{static_cast<C>(scales[i]), static_cast<C>(inverses[i]),
                                 static_cast<C>(projections[i])};
            write_pieces(streams, count, dv + offset, [&](int64_t begin, int64_t size, T* to) {
              gradient_along(dw + offset + begin, v + offset + begin, size, of, add_v, to);
            });
          });
        } else {
          const auto of_scales = spread<C>(tile, scales);
          const auto of_inverses = spread<C>(tile, inverses);
          const auto of_projections = spread<C>(tile, projections);
          each_line(tiles, tile, [&](int64_t offset, int64_t count) {
            write_pieces(streams, count, dv + offset, [&](int64_t begin, int64_t size, T* to) {
              const Gradients<C> of{of_scales.data() + begin, of_inverses.data() + begin,
                                    of_projections.data() + begin};
              gradient_across(dw + offset + begin, v + offset + begin, size, of, add_v, to);
            });
          });
        }
        end_writing(streams);
      });
}

}  // namespace

void weight_norm_forward_cpu(std::span<WeightNormRows> weights) {
  int64_t bytes = 0;
  for (const WeightNormRows& weight : weights) {
    bytes += weight.v.bytes() + weight.w.bytes();
  }
  const bool streams = weight_norm_stream::streams(bytes);
  for (WeightNormRows& weight : weights) {
    if (weight.w.dtype() != weight.v.dtype()) {
      forward<float, simt::bfloat16>(weight, streams);
      continue;
    }
    dispatch_floating(weight.v.dtype(), [&]<class T>() { forward<T, T>(weight, streams); });
  }
}

void weight_norm_backward_cpu(std::span<WeightNormGradient> weights) {
  int64_t bytes = 0;
  for (const WeightNormGradient& weight : weights) {
    bytes += 3 * weight.v.bytes();
  }
  const bool streams = weight_norm_stream::streams(bytes);
  for (WeightNormGradient& weight : weights) {
    dispatch_floating(weight.v.dtype(), [&]<class T>() { backward<T>(weight, streams); });
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
