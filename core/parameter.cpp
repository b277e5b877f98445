#include "core/parameter.h"

#include <algorithm>
#include <mutex>
#include <ostream>
#include <unordered_map>

#include "core/check.h"
#include "core/primitives.h"

namespace warptape {
namespace {

// Tied parameters of an object that is being copied.
struct TiedCopies {
  std::weak_ptr<ParameterState> original;
  std::weak_ptr<ParameterState> copy;  // once the first of them has been copied
  std::vector<const Parameter*> still_expected;
};

thread_local std::vector<TiedCopies> all_tied_copies;

TiedCopies* find_tied(const Parameter& parameter) {
  for (TiedCopies& tied : all_tied_copies) {
    if (tied.original.lock() == parameter.state() &&
        std::count(tied.still_expected.begin(), tied.still_expected.end(), &parameter) > 0) {
      return &tied;
    }
  }
  return nullptr;
}

// What the copy of `parameter` shares with the copies of those tied to it; `fresh` for the first.
std::shared_ptr<ParameterState> share_tied(const Parameter& parameter,
                                           std::shared_ptr<ParameterState> fresh) {
  TiedCopies* tied = find_tied(parameter);
  if (tied == nullptr) {
    return fresh;
  }
  std::erase(tied->still_expected, &parameter);
  if (const auto copy = tied->copy.lock()) {
    fresh = copy;
  } else {
    tied->copy = fresh;
  }
  std::erase_if(all_tied_copies, [](const TiedCopies& each) {
    return each.still_expected.empty() || each.original.expired();
  });
  return fresh;
}

}  // namespace

void expect_copies(const std::vector<const Parameter*>& parameters) {
  std::vector<const Parameter*> left;
  for (const Parameter* parameter : parameters) {
    // What is expected already is a part of a larger object that is being copied.
    const bool is_new = std::find(left.begin(), left.end(), parameter) == left.end();
    if (is_new && find_tied(*parameter) == nullptr) {
      left.push_back(parameter);
    }
  }
  while (!left.empty()) {
    const auto same = [&, state = left.front()->state()](const Parameter* each) {
      return each->state() == state;
    };
    TiedCopies tied{left.front()->state(), {}, {}};
    std::copy_if(left.begin(), left.end(), std::back_inserter(tied.still_expected), same);
    std::erase_if(left, same);
    if (tied.still_expected.size() > 1) {
      all_tied_copies.push_back(std::move(tied));
    }
  }
}

namespace {

// Every parameter that exists, for tensors that are the value of one.
struct LiveParameters {
  std::mutex mutex;
  uint64_t last_id = 0;
  std::unordered_map<uint64_t, ParameterState*> states;
};

LiveParameters& live_parameters() {
  static auto* parameters = new LiveParameters;  // outlives every parameter
  return *parameters;
}

uint64_t add_to_live(ParameterState* state) {
  LiveParameters& live = live_parameters();
  const std::lock_guard lock(live.mutex);
  live.states.emplace(++live.last_id, state);
  return live.last_id;
}

}  // namespace

ParameterState::ParameterState() : id(add_to_live(this)) {}

ParameterState::~ParameterState() {
  LiveParameters& live = live_parameters();
  const std::lock_guard lock(live.mutex);
  live.states.erase(id);
}

void ParameterState::set_value(const Tensor& tensor) {
  value = tensor;
  value.set_parameter_id(tensor.defined() ? id : 0);
}

std::shared_ptr<ParameterState> find_parameter(const Tensor& value) {
  std::shared_ptr<ParameterState> state;
  {
    LiveParameters& live = live_parameters();
    const std::lock_guard lock(live.mutex);
    const auto found = live.states.find(value.parameter_id());
    // One that is being destroyed waits for the lock, and has no owner any more: null.
    state = found == live.states.end() ? nullptr : found->second->weak_from_this().lock();
  }
  return state && state->value.shares_storage_with(value) ? state : nullptr;
}

Parameter::Parameter(const Tensor& value) : Parameter() {
  state_->set_value(value);
}

Parameter::Parameter(const Parameter& other) : Parameter() {
  if (other.defined()) {
    state_->set_value(other.value().detach().clone());
    state_->requires_grad = other.requires_grad();
    state_->name = other.state_->name;
    state_ = share_tied(other, std::move(state_));
  }
}

Parameter& Parameter::operator=(const Parameter& other) {
  if (state_ == other.state_) {
    return *this;
  }
  const bool fits = defined() && other.defined() && value().shape() == other.value().shape() &&
                    value().dtype() == other.value().dtype();
  if (!fits) {
    return *this = Parameter(other);
  }
  assign(other.value());
  share_tied(other, state_);
  return *this;
}

const Tensor& Parameter::value() const {
  static const Tensor undefined;
  return state_ ? state_->value : undefined;
}

void Parameter::assign(const Tensor& value, const Site& site) {
  check<ValueError>(defined(), site, "[assign] this parameter is undefined");
  check<ShapeError>(value.shape() == state_->value.shape(), site,
                    "[assign] shape: got {}, wanted {}", value.shape(), state_->value.shape());
  Tensor& own = state_->value;
  primitives::copy(value.detach().to(own.dtype()).to(own.device()), own);
}

std::ostream& operator<<(std::ostream& out, const Parameter& parameter) {
  return out << parameter.value();
}

void Parameter::zero_grad() {
  if (state_) {
    state_->grad_is_empty = true;
  }
}

void Parameter::set_requires_grad(bool on) {
  if (state_) {
    state_->requires_grad = on;
  }
}

void Parameter::tie(const Parameter& other, const Site& site) {
  if (defined() && other.defined()) {
    check<ShapeError>(value().shape() == other.value().shape(), site,
                      "[tie] shape: got {}, wanted {}", other.value().shape(), value().shape());
    check<DTypeError>(value().dtype() == other.value().dtype(), site,
                      "[tie] dtype: got {}, wanted {}", to_string(other.value().dtype()),
                      to_string(value().dtype()));
  }
  state_ = other.state_;
}

}  // namespace warptape
