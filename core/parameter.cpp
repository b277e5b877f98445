#include "core/parameter.h"

#include <algorithm>

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

Parameter::Parameter(const Tensor& value) : Parameter() {
  state_->value = value.detach();
}

Parameter::Parameter(const Parameter& other) : Parameter() {
  if (other.defined()) {
    state_->value = other.value().clone();
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
  primitives::copy(primitives::cast(value, own.dtype()).to(own.device()), own);
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
