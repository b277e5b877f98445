#include "kernels/conv1d/line_epilogue.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/clones.h"
#include "core/gradient_marks.h"
#include "core/random.h"
#include "core/random_words.h"

namespace warptape {
namespace {

// Products come before the choice: those under a condition are not done by vectors.

WARPTAPE_CLONES void rectify(float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = y[i] < 0 ? 0.0F : y[i];  // a NaN stays one
  }
}

WARPTAPE_CLONES void drop(float* y, const uint32_t* words, uint32_t least, float scale,
                          int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = y[i] * scale;
    y[i] = words[i] >= least ? scaled : 0.0F;
  }
}

// Marks of what a ReLU gave, of what a dropout keeps, and of all.
WARPTAPE_CLONES void mark_positive(const float* y, uint8_t* marks, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t mark =
        y[i] <= 0 ? gradient_marks::outer : gradient_marks::inner | gradient_marks::outer;
    marks[i] = static_cast<uint8_t>(mark);
  }
}

WARPTAPE_CLONES void mark_kept(const uint32_t* words, uint32_t least, uint8_t* marks,
                               int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t mark =
        words[i] >= least ? gradient_marks::inner | gradient_marks::outer : gradient_marks::outer;
    marks[i] = static_cast<uint8_t>(mark);
  }
}

// No marks where the last ReLU lets nothing pass.
WARPTAPE_CLONES void clear_marks(const float* y, uint8_t* marks, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t passes = y[i] <= 0 ? 0U : 0xffU;
    marks[i] = static_cast<uint8_t>(marks[i] & passes);
  }
}

WARPTAPE_CLONES void add(float* y, const float* other, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] += other[i];
  }
}

// By bits, as AVX-512F compares no bytes. `from` and `to` do not overlap.
WARPTAPE_CLONES void pass_inner(const float* __restrict from, const uint8_t* marks, float scale,
                                float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto scaled = std::bit_cast<uint32_t>(from[i] * scale);
    to[i] = std::bit_cast<float>(scaled & (0U - (marks[i] & gradient_marks::inner)));
  }
}

WARPTAPE_CLONES void pass_inner_in_place(float* x, const uint8_t* marks, float scale,
                                         int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto scaled = std::bit_cast<uint32_t>(x[i] * scale);
    x[i] = std::bit_cast<float>(scaled & (0U - (marks[i] & gradient_marks::inner)));
  }
}

WARPTAPE_CLONES void pass_outer(const float* __restrict from, const uint8_t* marks,
                                float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t passes = (marks[i] & gradient_marks::outer) / gradient_marks::outer;
    to[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(from[i]) & (0U - passes));
  }
}

WARPTAPE_CLONES void pass_outer_in_place(float* x, const uint8_t* marks, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t passes = (marks[i] & gradient_marks::outer) / gradient_marks::outer;
    x[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(x[i]) & (0U - passes));
  }
}

}  // namespace

std::optional<LineEpilogue> LineEpilogue::then_relu() const {
  if (adds ? relu_after : relu || dropout > 0) {
    return std::nullopt;
  }
  LineEpilogue longer = *this;
  (adds ? longer.relu_after : longer.relu) = true;
  return longer;
}

std::optional<LineEpilogue> LineEpilogue::then_dropout(double p, const RandomStream& by) const {
  const bool drops_all = std::ceil(p * 0x1p32) >= 0x1p32;
  if (drops_all || dropout > 0 || adds) {
    return std::nullopt;
  }
  LineEpilogue longer = *this;
  longer.dropout = p;
  longer.stream = by;
  return longer;
}

std::optional<LineEpilogue> LineEpilogue::then_sum() const {
  if (adds) {
    return std::nullopt;
  }
  LineEpilogue longer = *this;
  longer.adds = true;
  return longer;
}

LineEpilogueLoops::LineEpilogueLoops(const LineEpilogue& epilogue, const float* residual,
                                     uint8_t* marks)
    : relu(epilogue.relu),
      drops(epilogue.dropout > 0),
      stream(epilogue.stream),
      residual(residual),
      relu_after(epilogue.relu_after),
      marks(marks) {
  if (drops) {
    check_known_on_host(stream);
    least = static_cast<uint32_t>(std::ceil(epilogue.dropout * 0x1p32));
    scale = static_cast<float>(epilogue.scale());
  }
}

void LineEpilogueLoops::apply(float* y, int64_t begin, int64_t count) const {
  for (int64_t end = begin + count; begin < end; begin += RandomWords::most) {
    const int64_t part = std::min(RandomWords::most, end - begin);
    float* const to = y + begin;
    uint8_t* const kept = marks == nullptr ? nullptr : marks + begin;
    if (kept != nullptr && !relu && !drops) {
      std::fill_n(kept, part, uint8_t{gradient_marks::inner | gradient_marks::outer});
    }
    if (relu) {
      rectify(to, part);
    }
    if (drops) {
      const RandomWords words(stream, begin, part);
      drop(to, words.data(), least, scale, part);
      if (kept != nullptr && !relu) {
        mark_kept(words.data(), least, kept, part);
      }
    }
    if (kept != nullptr && relu) {
      mark_positive(to, kept, part);
    }
    if (residual != nullptr) {
      add(to, residual + begin, part);
    }
    if (relu_after) {
      rectify(to, part);
      if (kept != nullptr) {
        clear_marks(to, kept, part);
      }
    }
  }
}

void LineMask::apply(const float* from, int64_t begin, int64_t count) const {
  const uint8_t* const kept = marks + begin;
  if (from == inner) {
    pass_inner_in_place(inner + begin, kept, scale, count);
    return;
  }
  pass_inner(from + begin, kept, scale, inner + begin, count);
  if (outer == from) {
    pass_outer_in_place(outer + begin, kept, count);
  } else if (outer != nullptr) {
    pass_outer(from + begin, kept, outer + begin, count);
  }
}

}  // namespace warptape
