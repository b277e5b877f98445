// The CPU's loops over sets. Each thread has sets of its own, so that the bits do not depend on
// their number.

#include <array>

#include "core/parallel.h"
#include "kernels/normalize/normalize.h"

namespace warptape::normalize {
namespace {

constexpr int64_t shortest_run = 16;  // below, the inner loop goes along the sets
constexpr int64_t widest_tile = 64;   // columns

bool are_columns(const Sets& sets) {
  return sets.run < shortest_run && sets.sets > 1;
}

template <class T, size_t N>
void values_at(const std::array<const T*, N>& in, int64_t at, Compute<T> (&values)[N]) {
  for (size_t n = 0; n < N; ++n) {
    values[n] = in[n][at];
  }
}

// As many chains of additions as the processor has in flight, in an order that depends on the
// length alone.
template <class Summand, class T, size_t N>
Sums sum_of_run(const Summand& summand, const std::array<const T*, N>& in, int64_t start,
                int64_t count, const typename Summand::Around& around) {
  constexpr int64_t lanes = 8;
  std::array<Sums, lanes> own{};
  Compute<T> values[N];
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      values_at(in, start + i + lane, values);
      summand.add(own[static_cast<size_t>(lane)], values, around);
    }
  }
  for (; i < count; ++i) {
    values_at(in, start + i, values);
    summand.add(own[0], values, around);
  }
  Sums total{};
  for (const Sums& lane : own) {
    total = total + lane;
  }
  return total;
}

template <class Summand, class T, size_t N, class Keep>
void sum_runs(const Sets& sets, const Summand& summand, const std::array<const T*, N>& in,
              const Keep& keep) {
  parallel_for(sets.count(), default_grain / sets.size() + 1, [&](int64_t begin, int64_t end) {
    for (int64_t set = begin; set < end; ++set) {
      const int64_t o = set / sets.sets;
      const int64_t j = set % sets.sets;
      const auto shared = summand.around(sets, o, 0, j, 0);
      Sums total{};
      for (int64_t a = 0; a < sets.along; ++a) {
        const int64_t start = sets.first(o, j) + a * sets.width();
        if (!summand.varies()) {
          total = total + sum_of_run(summand, in, start, sets.run, shared);
          continue;
        }
        Compute<T> values[N];
        for (int64_t b = 0; b < sets.run; ++b) {
          values_at(in, start + b, values);
          summand.add(total, values, summand.around(sets, o, a, j, b));
        }
      }
      keep(set, j, shared, total);
    }
  });
}

// Tiles of whole sets side by side.
struct Tiles {
  explicit Tiles(const Sets& sets)
      : sets_each(std::max<int64_t>(widest_tile / sets.run, 1)),
        per_outer((sets.sets + sets_each - 1) / sets_each),
        count(sets.outer * per_outer) {}
  int64_t sets_each;
  int64_t per_outer;
  int64_t count;
};

template <class Summand, class T, size_t N, class Keep>
void sum_columns(const Sets& sets, const Summand& summand, const std::array<const T*, N>& in,
                 const Keep& keep) {
  using Around = typename Summand::Around;
  const Tiles tiles(sets);
  const int64_t grain = default_grain / (sets.size() * tiles.sets_each) + 1;
  parallel_for(tiles.count, grain, [&](int64_t begin, int64_t end) {
    std::array<Sums, widest_tile> own;
    std::array<Around, widest_tile> around;
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t o = tile / tiles.per_outer;
      const int64_t first = tile % tiles.per_outer * tiles.sets_each;
      const int64_t own_sets = std::min(tiles.sets_each, sets.sets - first);
      const auto columns = static_cast<size_t>(own_sets * sets.run);
      const auto look_around = [&](int64_t a) {
        for (size_t q = 0; q < columns; ++q) {
          const auto column = static_cast<int64_t>(q);
          around[q] = summand.around(sets, o, a, first + column / sets.run, column % sets.run);
        }
      };
      std::fill_n(own.begin(), columns, Sums{});
      look_around(0);
      for (int64_t a = 0; a < sets.along; ++a) {
        if (summand.varies()) {
          look_around(a);
        }
        const int64_t start = sets.first(o, first) + a * sets.width();
        Compute<T> values[N];
        for (size_t q = 0; q < columns; ++q) {
          values_at(in, start + static_cast<int64_t>(q), values);
          summand.add(own[q], values, around[q]);
        }
      }
      for (int64_t s = 0; s < own_sets; ++s) {
        Sums total{};
        for (int64_t b = 0; b < sets.run; ++b) {
          total = total + own[static_cast<size_t>(s * sets.run + b)];
        }
        const int64_t j = first + s;
        keep(o * sets.sets + j, j, summand.around(sets, o, 0, j, 0), total);
      }
    }
  });
}

template <class Summand, class T, size_t N, class Keep>
void sum_sets(const Sets& sets, const Summand& summand, const std::array<const T*, N>& in,
              const Keep& keep) {
  if (are_columns(sets)) {
    sum_columns(sets, summand, in, keep);
  } else {
    sum_runs(sets, summand, in, keep);
  }
}

template <class Op, class T, size_t N>
void apply_to_sets(const Sets& sets, const Op& op, const std::array<const T*, N>& in, T* out,
                   bool add) {
  if (are_columns(sets)) {
    std::vector<typename Op::Row> rows(static_cast<size_t>(sets.width()));
    for (int64_t o = 0; o < sets.outer; ++o) {
      for (size_t q = 0; q < rows.size(); ++q) {
        rows[q] = op.row(o, static_cast<int64_t>(q) / sets.run);
      }
      parallel_for(sets.along, default_grain / sets.width() + 1, [&](int64_t begin, int64_t end) {
        Compute<T> values[N];
        for (int64_t a = begin; a < end; ++a) {
          const int64_t start = (o * sets.along + a) * sets.width();
          for (size_t q = 0; q < rows.size(); ++q) {
            const int64_t at = start + static_cast<int64_t>(q);
            values_at(in, at, values);
            out[at] = written(add, out[at], op.value(rows[q], values));
          }
        }
      });
    }
  } else {
    const int64_t runs = sets.outer * sets.along * sets.sets;
    parallel_for(runs, default_grain / sets.run + 1, [&](int64_t begin, int64_t end) {
      Compute<T> values[N];
      for (int64_t r = begin; r < end; ++r) {
        const auto row = op.row(r / sets.sets / sets.along, r % sets.sets);
        for (int64_t at = r * sets.run; at < (r + 1) * sets.run; ++at) {
          values_at(in, at, values);
          out[at] = written(add, out[at], op.value(row, values));
        }
      }
    });
  }
  op.finish();
}

}  // namespace

template <class T>
void NormalizeCpu<T>::statistics(const Sets& sets, const T* x, const KeepStatistics<C>& keep) {
  sum_sets(sets, MomentSummand<T>{x}, std::array<const T*, 1>{x}, keep);
}

template <class T>
void NormalizeCpu<T>::keep_running(const StatisticsSource<C>& source, int64_t count,
                                   Statistics* kept) {
  for (int64_t i = 0; i < count; ++i) {
    kept[i] = source.of_running(i);
  }
}

template <class T>
void NormalizeCpu<T>::gradients(const Sets& sets, const T* dy, const T* x,
                                const Statistics* statistics, const StatisticsIndex& index,
                                const KeepGradients<C>& keep) {
  const std::array<const T*, 2> in = {dy, x};
  if (index.varies()) {
    sum_sets(sets, GradientSummand<T, true>{statistics, index}, in, keep);
  } else {
    sum_sets(sets, GradientSummand<T, false>{statistics, index}, in, keep);
  }
}

template <class T>
void NormalizeCpu<T>::apply(const Sets& sets, const Normalize<T>& op, const T* x, T* y, bool add) {
  apply_to_sets(sets, op, std::array<const T*, 1>{x}, y, add);
}

template <class T>
void NormalizeCpu<T>::apply_gradient(const Sets& sets, const NormalizeGradient<T>& op, const T* dy,
                                     const T* x, T* dx, bool add) {
  apply_to_sets(sets, op, std::array<const T*, 2>{dy, x}, dx, add);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name) template struct NormalizeCpu<T>;
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::normalize
