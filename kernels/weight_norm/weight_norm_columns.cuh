#pragma once
// Weight norm of slices that are no contiguous rows: of the last dimension of a matrix, of a middle
// one, of several. A block owns the same few neighbouring slices in one line after the other. A
// thread goes down the lines at one place of them, so that neighbouring threads touch neighbouring
// elements, whatever belongs to whom.

#include "core/simt/reduce.cuh"
#include "kernels/weight_norm/weight_norm_row.cuh"

namespace warptape::weight_norm_detail {

// What a block owns.
struct ColumnTile {
  int64_t slice;  // the first of `columns`
  int columns;
  int run;    // elements of each of them in a line
  int width;  // of all
  int64_t first_line;
  int64_t last_line;  // behind it
  int64_t start;      // of the first element in the group's first line
  int threads;        // that go through it
};

// Block `block` of those that own parts of a weight's slices; parts of the same slices are blocks
// behind each other.
__device__ inline ColumnTile column_tile(const NormSlices& at, const ColumnPlan& plan,
                                         unsigned block) {
  const int64_t tiles = (at.columns + plan.columns - 1) / plan.columns;
  const int64_t part = block % plan.parts();
  const int64_t tile = block / plan.parts();
  const int64_t group = tile / tiles;
  const int64_t column = tile % tiles * plan.columns;
  const int64_t begin = part % plan.run_parts * plan.run;
  const int64_t line = part / plan.run_parts * plan.lines;
  const int64_t lines = at.outer * at.lines;
  ColumnTile result;
  result.slice = group * at.columns + column;
  result.columns =
      static_cast<int>(at.columns - column < plan.columns ? at.columns - column : plan.columns);
  result.run = static_cast<int>(at.run - begin < plan.run ? at.run - begin : plan.run);
  result.width = result.columns * result.run;
  result.first_line = line;
  result.last_line = line + plan.lines < lines ? line + plan.lines : lines;
  result.start = (group * at.lines * at.columns + column) * at.run + begin;
  result.threads = plan.threads;
  return result;
}

// Where a tile's elements of a line begin.
__device__ inline int64_t line_start(const NormSlices& at, const ColumnTile& tile, int64_t line) {
  const int64_t row =
      at.outer == 1 ? line : line / at.lines * at.groups * at.lines + line % at.lines;
  return tile.start + row * at.columns * at.run;
}

// The threads of a block on a tile: `across` of them along a line, `down` lines at once. As many as
// the weight asks for, whatever else the launch has: the bits are its own.
struct ColumnThreads {
  int across;
  int down;
};
__device__ inline ColumnThreads threads_of(const ColumnTile& tile) {
  const int across = tile.width < tile.threads ? tile.width : tile.threads;
  return {across, tile.threads / across};
}

// Calls visit(element of the line, first line of the thread, lines from one to the next). Each time
// a thread gets the same elements.
template <class Visit>
__device__ void visit_columns(const ColumnTile& tile, const Visit& visit) {
  const auto [across, down] = threads_of(tile);
  const auto thread = static_cast<int>(threadIdx.x);
  const int first = thread / across;
  if (first < down) {
    for (int element = thread % across; element < tile.width; element += across) {
      visit(element, tile.first_line + first, down);
    }
  }
}

// sums[slot * most_columns + column] = what add = adder(element of the line) has added to own[slot]
// by add(line, own) in all lines of the tile. partial: Sums * most_width doubles. Behind it all
// threads see the sums.
template <int Sums, class Adder>
__device__ void sum_columns(const ColumnTile& tile, const Adder& adder, double* partial,
                            double* sums) {
  visit_columns(tile, [&](int element, int64_t first, int step) {
    const auto add = adder(element);
    double own[Sums] = {};
#pragma unroll 2
    for (int64_t line = first; line < tile.last_line; line += step) {
      add(line, own);
    }
    const auto row = static_cast<int>(first - tile.first_line);
#pragma unroll
    for (int slot = 0; slot < Sums; ++slot) {
      partial[slot * most_width + row * tile.width + element] = own[slot];
    }
  });
  __syncthreads();
  // Rows of sums are folded in halves, so that neighbouring threads touch neighbouring sums.
  const auto [across, down] = threads_of(tile);
  const int own_row = static_cast<int>(threadIdx.x) / across;
  const int own_element = static_cast<int>(threadIdx.x) % across;
  for (int rows = down; rows > 1;) {
    const int half = (rows + 1) / 2;
    if (own_row + half < rows) {
#pragma unroll
      for (int slot = 0; slot < Sums; ++slot) {
        double* const sum = partial + slot * most_width + own_row * tile.width + own_element;
        *sum += sum[half * tile.width];
      }
    }
    __syncthreads();
    rows = half;
  }
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int column = static_cast<int>(threadIdx.x) / 32; column < tile.columns; column += warps) {
#pragma unroll
    for (int slot = 0; slot < Sums; ++slot) {
      double sum = 0;
      for (int i = lane; i < tile.run; i += 32) {
        sum += partial[slot * most_width + column * tile.run + i];
      }
      sum = simt::warp_sum(sum);
      if (lane == 0) {
        sums[slot * most_columns + column] = sum;
      }
    }
  }
  __syncthreads();
}

// Adds the squares of an element, as visit_sums_of_norm has them.
template <class T>
__device__ void add_squares(T element, double* own) {
  visit_sums_of_norm<T>([&](double factor, int slot) {
    const double value = static_cast<double>(element) * factor;
    own[slot] += value * value;
  });
}

// The norm of a column, of the sums of its squares.
template <class T>
__device__ double norm_of_column(const double* sums, int column) {
  return norm_of<T>([&](double, int slot) { return sums[slot * most_columns + column]; });
}

// w of a tile, and the norms, where the tile is the first one of its slices. norm(column): of the
// whole slice; element(line, index of the element in its line, its offset): of v.
template <class T, class W, class Norm, class Element>
__device__ void scale_columns(const WeightNormForward<T, W>& weight, const ColumnTile& tile,
                              bool is_first, const Norm& norm, const Element& element) {
  WARPTAPE_SHARED(Scaling<T>, scalings, [most_columns]);
  const auto column = static_cast<int>(threadIdx.x);
  if (column < tile.columns) {
    const RowScale<T> scale = row_scale(weight, tile.slice + column, norm(column));
    if (is_first) {
      store_norm(weight, tile.slice + column, scale);
    }
    scalings[column] = scale.scaling;
  }
  __syncthreads();
  if (weight.w == nullptr) {
    return;
  }
  visit_columns(tile, [&](int i, int64_t first, int step) {
    const Scaling<T> scaling = scalings[i / tile.run];
#pragma unroll 2
    for (int64_t line = first; line < tile.last_line; line += step) {
      const int64_t at = line_start(weight.places, tile, line) + i;
      weight.w[at] = static_cast<W>(scaling(element(line, i, at)));
    }
  });
}

template <class T>
struct ColumnElements {
  T dw;
  T v;
};

// dv of a tile, and dg, where the tile is the first one of its slices. dot(column): of the whole
// slice; elements(line, index of the element in its line, its offset): of dw and v.
template <class T, class Dot, class Elements>
__device__ void gradient_of_columns(const WeightNormBackward<T>& weight, const ColumnTile& tile,
                                    bool is_first, const Dot& dot, const Elements& elements) {
  WARPTAPE_SHARED(RowGradient<T>, gradients, [most_columns]);
  const auto column = static_cast<int>(threadIdx.x);
  if (column < tile.columns) {
    gradients[column] = row_gradient(weight, tile.slice + column, dot(column));
    if (is_first) {
      store_gain_gradient(weight, tile.slice + column, gradients[column]);
    }
  }
  __syncthreads();
  if (weight.dv == nullptr) {
    return;
  }
  visit_columns(tile, [&](int i, int64_t first, int step) {
    const RowGradient<T> gradient = gradients[i / tile.run];
#pragma unroll 2
    for (int64_t line = first; line < tile.last_line; line += step) {
      const int64_t at = line_start(weight.places, tile, line) + i;
      const ColumnElements<T> own = elements(line, i, at);
      weight.dv[at] = written(weight.add_v, weight.dv[at], gradient(own.dw, own.v));
    }
  });
}

// ---- slices that a block holds ----------------------------------------------------------------

// The plan of blocks that own whole slices.
__device__ inline ColumnPlan whole_columns(const NormSlices& at, const Geometry& geometry) {
  return {.columns = geometry.rows_per_block,
          .run = static_cast<int>(at.run),
          .lines = at.outer * at.lines,
          .threads = geometry.lanes};
}

template <class T, class W>
__device__ void forward_columns(const WeightNormForward<T, W>& weight, const Geometry& geometry,
                                unsigned block) {
  WARPTAPE_SHARED(double, sums, [sums_of_norm<T> * most_columns]);
  auto* partial = simt::dynamic_shared<double>();
  T* held = reinterpret_cast<T*>(partial + column_partials<T>);
  const ColumnTile tile = column_tile(weight.places, whole_columns(weight.places, geometry), block);
  sum_columns<sums_of_norm<T>>(
      tile,
      [&](int i) {
        return [&, i](int64_t line, double* own) {
          const T v = weight.v[line_start(weight.places, tile, line) + i];
          held[line * tile.width + i] = v;
          add_squares(v, own);
        };
      },
      partial, sums);
  scale_columns(
      weight, tile, true, [&](int column) { return norm_of_column<T>(sums, column); },
      [&](int64_t line, int i, int64_t) { return held[line * tile.width + i]; });
}

template <class T>
__device__ void backward_columns(const WeightNormBackward<T>& weight, const Geometry& geometry,
                                 unsigned block) {
  WARPTAPE_SHARED(double, sums, [most_columns]);
  auto* partial = simt::dynamic_shared<double>();
  T* held_v = reinterpret_cast<T*>(partial + column_partials<T>);
  const ColumnTile tile = column_tile(weight.places, whole_columns(weight.places, geometry), block);
  T* held_dw = held_v + tile.last_line * tile.width;
  sum_columns<1>(
      tile,
      [&](int i) {
        return [&, i, factor = factor_of_products(weight, tile.slice + i / tile.run)](int64_t line,
                                                                                      double* own) {
          const int64_t at = line_start(weight.places, tile, line) + i;
          const T dw = weight.dw[at];
          const T v = weight.v[at];
          held_dw[line * tile.width + i] = dw;
          held_v[line * tile.width + i] = v;
          own[0] += product(dw, v, factor);
        };
      },
      partial, sums);
  gradient_of_columns(
      weight, tile, true, [&](int column) { return sums[column]; },
      [&](int64_t line, int i, int64_t) {
        return ColumnElements<T>{held_dw[line * tile.width + i], held_v[line * tile.width + i]};
      });
}

// ---- slices that no block holds, in two launches ----------------------------------------------

// Calls store(slot, sum) of value(part, slot) over the parts of each of a tile's columns: a warp
// adds up those of one.
template <int Sums, class Value>
__device__ void sum_parts(const ColumnTile& tile, int64_t parts, const Value& value, double* sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int column = static_cast<int>(threadIdx.x) / 32; column < tile.columns; column += warps) {
#pragma unroll
    for (int slot = 0; slot < Sums; ++slot) {
      double sum = 0;
      for (int64_t part = lane; part < parts; part += 32) {
        sum += value((tile.slice + column) * parts + part, slot);
      }
      sum = simt::warp_sum(sum);
      if (lane == 0) {
        sums[slot * most_columns + column] = sum;
      }
    }
  }
  __syncthreads();
}

// scratch[slice * parts + part] = the norm of the part, reading v once
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_column_norms(const T* v, NormSlices places, ColumnPlan plan, double* scratch) {
  WARPTAPE_SHARED(double, sums, [sums_of_norm<T> * most_columns]);
  const ColumnTile tile = column_tile(places, plan, blockIdx.x);
  sum_columns<sums_of_norm<T>>(
      tile,
      [&](int i) {
        return [&, i](int64_t line, double* own) {
          add_squares(v[line_start(places, tile, line) + i], own);
        };
      },
      simt::dynamic_shared<double>(), sums);
  const auto column = static_cast<int>(threadIdx.x);
  if (column < tile.columns) {
    scratch[(tile.slice + column) * plan.parts() + blockIdx.x % plan.parts()] =
        norm_of_column<T>(sums, column);
  }
}

template <class T, class W>
__global__ void __launch_bounds__(max_threads)
    weight_norm_forward_columns(WeightNormForward<T, W> weight, ColumnPlan plan,
                                const double* scratch) {
  WARPTAPE_SHARED(double, sums, [sums_of_norm<T> * most_columns]);
  const ColumnTile tile = column_tile(weight.places, plan, blockIdx.x);
  sum_parts<sums_of_norm<T>>(
      tile, plan.parts(),
      [&](int64_t at, int slot) {
        const double factor = slot == 0 ? 1.0 : slot == 1 ? enlarging : reducing;
        const double value = scratch[at] * factor;
        return value * value;
      },
      sums);
  scale_columns(
      weight, tile, blockIdx.x % plan.parts() == 0,
      [&](int column) { return norm_of_column<T>(sums, column); },
      [&](int64_t, int, int64_t at) { return weight.v[at]; });
}

// scratch[slice * parts + part] = the part of dw . v, as product() has it
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_column_dots(WeightNormBackward<T> weight, ColumnPlan plan, double* scratch) {
  WARPTAPE_SHARED(double, sums, [most_columns]);
  const ColumnTile tile = column_tile(weight.places, plan, blockIdx.x);
  sum_columns<1>(
      tile,
      [&](int i) {
        return [&, i, factor = factor_of_products(weight, tile.slice + i / tile.run)](int64_t line,
                                                                                      double* own) {
          const int64_t at = line_start(weight.places, tile, line) + i;
          own[0] += product(weight.dw[at], weight.v[at], factor);
        };
      },
      simt::dynamic_shared<double>(), sums);
  const auto column = static_cast<int>(threadIdx.x);
  if (column < tile.columns) {
    scratch[(tile.slice + column) * plan.parts() + blockIdx.x % plan.parts()] = sums[column];
  }
}

template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_backward_columns(WeightNormBackward<T> weight, ColumnPlan plan,
                                 const double* scratch) {
  WARPTAPE_SHARED(double, sums, [most_columns]);
  const ColumnTile tile = column_tile(weight.places, plan, blockIdx.x);
  sum_parts<1>(
      tile, plan.parts(), [&](int64_t at, int) { return scratch[at]; }, sums);
  gradient_of_columns(
      weight, tile, blockIdx.x % plan.parts() == 0, [&](int column) { return sums[column]; },
      [&](int64_t, int, int64_t at) {
        return ColumnElements<T>{weight.dw[at], weight.v[at]};
      });
}

}  // namespace warptape::weight_norm_detail
