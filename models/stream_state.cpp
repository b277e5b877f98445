// What streams remember: copies, and tensors for files.

#include <algorithm>

#include "core/check.h"
#include "core/primitives.h"
#include "models/sequence_stream.h"
#include "models/stream_stages.h"

namespace warptape {
namespace {

using streaming::Ring;
using streaming::Stage;

// The input's ring, those behind each stage but the last, and the condition's.
std::vector<Ring> rings_of(const streaming::Stages& stages) {
  std::vector<Ring> rings{stages.input};
  for (const Stage& stage : stages.list) {
    if (stage.out.rows != 0) {
      rings.push_back(stage.out);
    }
  }
  if (stages.condition.rows != 0) {
    rings.push_back(stages.condition);
  }
  return rings;
}

std::string key_of(size_t ring) {
  return "history." + std::to_string(ring);
}

}  // namespace

bool are_alike(const StreamStages& a, const StreamStages& b) {
  return a.dtype == b.dtype && a.device == b.device && a.stages.delay == b.stages.delay &&
         a.stages.scratch_elements() == b.stages.scratch_elements() &&
         a.stages.condition == b.stages.condition &&
         std::equal(a.stages.list.begin(), a.stages.list.end(), b.stages.list.begin(),
                    b.stages.list.end(), [](const Stage& one, const Stage& other) {
                      return one.in == other.in && one.out == other.out;
                    });
}

StreamState::StreamState(const StreamState& other) : of_(other.of_) {
  if (of_ != nullptr) {
    memory_ = other.memory_.detach().clone();
    counts_ = other.counts_.detach().clone();
    scratch_ = other.scratch_.defined() ? Tensor::empty_like(other.scratch_) : Tensor();
  }
}

StreamState& StreamState::operator=(const StreamState& other) {
  if (this == &other) {
    return *this;
  }
  if (of_ == nullptr || other.of_ == nullptr || !are_alike(*of_, *other.of_) ||
      counts_.shape() != other.counts_.shape()) {
    return *this = StreamState(other);
  }
  of_ = other.of_;
  primitives::copy(other.memory_, memory_);
  primitives::copy(other.counts_, counts_);
  return *this;
}

StateDict SequenceStream::state_dict(const StreamState& state, const Site& site) const {
  check_state(state, site);
  StateDict dict;
  const std::vector<int64_t> counts = state.counts_.to_vector<int64_t>();
  dict.emplace_back("steps", tensor(counts, {options_.batch}));
  const Tensor memory = state.memory_.detach().to(cpu);
  const std::vector<Ring> rings = rings_of(stages_->stages);
  for (size_t number = 0; number < rings.size(); ++number) {
    const Ring& ring = rings[number];
    Tensor history = Tensor::empty({options_.batch, ring.channels, ring.history}, dtype());
    const auto fill = [&]<class T>(T) {
      T* to = history.mutable_data<T>();
      for (int64_t b = 0; b < options_.batch; ++b) {
        const T* first = memory.data<T>() + b * stages_->stages.elements + ring.offset;
        for (int64_t c = 0; c < ring.channels; ++c) {
          for (int64_t i = 0; i < ring.history; ++i) {
            const int64_t step = ring.rate.rows(counts[static_cast<size_t>(b)]) - ring.history + i;
            *to++ = first[ring.row_of(step) * ring.stride + c];
          }
        }
      }
    };
    dtype() == float64 ? fill(double()) : fill(float());
    dict.emplace_back(key_of(number), history);
  }
  return dict;
}

void SequenceStream::load_state_dict(StreamState& state, const StateDict& dict,
                                     const Site& site) const {
  check_state(state, site);
  const auto find = [&](const std::string& key, const Shape& shape, DType type) {
    for (const auto& [name, found] : dict) {
      if (name == key) {
        check<ValueError>(found.shape() == shape && found.dtype() == type, site,
                          "[stream] {}: got {} of {}, wanted {} of {}", key, found.shape(),
                          to_string(found.dtype()), shape, to_string(type));
        return found.detach().to(cpu).to(MemoryFormat::RowMajor);
      }
    }
    throw ValueError(fmt::format("[stream] {}: got none among {} tensors, wanted {} of {}{}", key,
                                 dict.size(), shape, to_string(type), at(site)));
  };
  const std::vector<int64_t> counts = find("steps", {options_.batch}, int64).to_vector<int64_t>();
  check<ValueError>(std::all_of(counts.begin(), counts.end(), [](int64_t n) { return n >= 0; }),
                    site, "[stream] steps: got less than 0, wanted numbers of steps");
  check<ValueError>(std::all_of(counts.begin(), counts.end(),
                                [&](int64_t n) { return n % steps_multiple() == 0; }),
                    site, "[stream] steps: got other numbers than multiples of {}",
                    steps_multiple());
  const std::vector<Ring> rings = rings_of(stages_->stages);
  Tensor memory = Tensor::zeros(state.memory_.shape(), dtype());
  for (size_t number = 0; number < rings.size(); ++number) {
    const Ring& ring = rings[number];
    const Tensor history =
        find(key_of(number), {options_.batch, ring.channels, ring.history}, dtype());
    const auto put = [&]<class T>(T) {
      const T* from = history.data<T>();
      T* const to = memory.mutable_data<T>();
      for (int64_t b = 0; b < options_.batch; ++b) {
        T* first = to + b * stages_->stages.elements + ring.offset;
        for (int64_t c = 0; c < ring.channels; ++c) {
          for (int64_t i = 0; i < ring.history; ++i, ++from) {
            const int64_t step = ring.rate.rows(counts[static_cast<size_t>(b)]) - ring.history + i;
            const int64_t row = ring.row_of(step);
            first[row * ring.stride + c] = *from;
            if (row < streaming::ring_margin) {
              first[(row + ring.rows) * ring.stride + c] = *from;
            }
          }
        }
      }
    };
    dtype() == float64 ? put(double()) : put(float());
  }
  primitives::copy(memory.to(device()), state.memory_);
  primitives::copy(tensor(counts, {options_.batch}).to(device()), state.counts_);
}

}  // namespace warptape
