// The members of a module that its fields() forgets.

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "core/check.h"
#include "core/members.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {
namespace {

// Where to put the size of the module that is being "deleted"; null: it is to be deleted.
thread_local size_t* asked_size = nullptr;

bool is_question(size_t size) {
  if (asked_size != nullptr) {
    *asked_size = size;
    return true;
  }
  return false;
}

// Where an object lies as a whole.
struct Extent {
  const char* begin;
  const char* end;
  bool holds(const void* address) const {
    return begin <= static_cast<const char*>(address) && static_cast<const char*>(address) < end;
  }
};

// delete is the one function that knows the size of an object's class: it goes by the class's table
// to operator delete below, which does nothing but note the size.
[[gnu::noinline]] Extent extent_of(const Module& module) {
  size_t size = 0;
  asked_size = &size;
  delete &const_cast<Module&>(module);
  asked_size = nullptr;
  const auto* begin = static_cast<const char*>(dynamic_cast<const void*>(&module));
  return {begin, begin + size};
}

}  // namespace

void* Module::operator new(size_t size) {
  return ::operator new(size);
}

void* Module::operator new(size_t size, std::align_val_t alignment) {
  return ::operator new(size, alignment);
}

void Module::operator delete(void* pointer) noexcept {
  ::operator delete(pointer);
}

void Module::operator delete(void* pointer, std::align_val_t alignment) noexcept {
  ::operator delete(pointer, alignment);
}

void Module::operator delete(Module* module, std::destroying_delete_t, size_t size) {
  if (!is_question(size)) {
    void* const whole = dynamic_cast<void*>(module);
    module->~Module();
    ::operator delete(whole);
  }
}

void Module::operator delete(Module* module, std::destroying_delete_t, size_t size,
                             std::align_val_t alignment) {
  if (!is_question(size)) {
    void* const whole = dynamic_cast<void*>(module);
    module->~Module();
    ::operator delete(whole, alignment);
  }
}

namespace {

template <class T, MemberKind kind>
const T& object_at(const MemberPlace& place) {
  return static_cast<const T&>(*static_cast<const Member<kind>*>(place.address));
}

// A member that lies in a module, not in another member of it.
struct Found {
  MemberPlace place;
  Extent extent;
  bool is_defined;
  std::string what;  // "a Conv2d", "a Parameter of shape (3,)"
};

template <class T>
Extent extent_of_value(const T& value) {
  const auto* begin = reinterpret_cast<const char*>(&value);
  return {begin, begin + sizeof value};
}

template <class T>
Found found_tensor(const MemberPlace& place, const char* kind, const T& value, const Shape& shape) {
  return {place, extent_of_value(value), value.defined(),
          value.defined() ? fmt::format("a {} of shape {}", kind, shape) : ""};
}

Found describe(const MemberPlace& place) {
  switch (place.kind) {
    case MemberKind::Weight: {
      const auto& weight = object_at<Weight, MemberKind::Weight>(place);
      return found_tensor(place, "Weight", weight, weight.shape());
    }
    case MemberKind::Parameter: {
      const auto& parameter = object_at<Parameter, MemberKind::Parameter>(place);
      return found_tensor(place, "Parameter", parameter,
                          parameter.defined() ? parameter.value().shape() : Shape());
    }
    case MemberKind::Buffer: {
      const auto& buffer = object_at<Buffer, MemberKind::Buffer>(place);
      return found_tensor(place, "Buffer", buffer,
                          buffer.defined() ? buffer.value().shape() : Shape());
    }
    case MemberKind::Module:
      break;
  }
  const auto& module = object_at<Module, MemberKind::Module>(place);
  return {place, extent_of(module), true, "a " + module.type_name()};
}

// What fields() lists, and what it leaves out by name, with its names.
struct Listed : Visitor {
  void on_list(const std::string& name, Module& list) override {
    const std::string outer = std::exchange(prefix, prefix + name + ".");
    list.fields(*this);
    prefix = outer;
  }
  void on_module(const std::string& name, Module& module) override { add(name, module.place()); }
  void on_parameter(const std::string& name, Parameter& parameter) override {
    add(name, parameter.place());
  }
  void on_buffer(const std::string& name, Buffer& buffer) override { add(name, buffer.place()); }
  void on_weight(const std::string& name, Weight& weight) override { add(name, weight.place()); }
  void on_left_out(const MemberPlace& place) override { names.emplace(place, ""); }

  void add(const std::string& name, const MemberPlace& place) {
    names.emplace(place, prefix + name);
  }
  // Whether a part of that object is listed, as where a module lists another one's fields as its
  // own.
  bool has_within(const Extent& extent) const {
    return std::any_of(names.begin(), names.end(),
                       [&](const auto& each) { return extent.holds(each.first.address); });
  }

  std::string prefix;
  std::map<MemberPlace, std::string> names;
};

std::string between(const std::string& before, const std::string& after) {
  if (!before.empty() && !after.empty()) {
    return fmt::format(" between {} and {}", before, after);
  }
  if (!before.empty()) {
    return " after " + before;
  }
  return after.empty() ? "" : " before " + after;
}

// Members in the order of their addresses, which is that of their declarations.
class Members {
 public:
  Members(const Module& module, const Listed& listed) : listed_(listed) {
    const Extent whole = extent_of(module);
    for (const MemberPlace& place : members_within(whole.begin, whole.end)) {
      if (place != module.place()) {
        add(describe(place));
      }
    }
  }

  void check(const Module& module, const Site& site) const {
    std::vector<std::string> missing;
    size_t count = 0;
    for (size_t i = 0; i < own_.size(); ++i) {
      const auto listed = listed_.names.find(own_[i].place);
      if (listed == listed_.names.end()) {
        missing.push_back(escaped(own_[i].what + between(name_near(i, -1), name_near(i, 1))));
      }
      count += listed == listed_.names.end() || !listed->second.empty() ? 1 : 0;
    }
    warptape::check<ValueError>(
        missing.empty(), site,
        "[{}] fields() lists {} of {} members: {} {} missing. What is meant to be no part of it is "
        "left out by visit.leave_out(member)",
        escaped(module.type_name()), count - missing.size(), count, fmt::join(missing, ", "),
        missing.size() == 1 ? "is" : "are");
  }

 private:
  void add(Found found) {
    const bool is_listed = listed_.names.count(found.place) > 0;
    const bool is_part = std::any_of(own_.begin(), own_.end(), [&](const Found& each) {
      return each.extent.holds(found.place.address);
    });
    if (is_part || !found.is_defined || (!is_listed && listed_.has_within(found.extent))) {
      return;
    }
    // The parts of a module whose base is another class may come before it.
    std::erase_if(own_, [&](const Found& each) { return found.extent.holds(each.place.address); });
    own_.push_back(std::move(found));
  }

  // Of the next member in that direction that has one.
  std::string name_near(size_t at, int step) const {
    for (size_t i = at + static_cast<size_t>(step); i < own_.size();
         i += static_cast<size_t>(step)) {
      const auto listed = listed_.names.find(own_[i].place);
      if (listed != listed_.names.end() && !listed->second.empty()) {
        return listed->second;
      }
    }
    return {};
  }

  const Listed& listed_;
  std::vector<Found> own_;
};

}  // namespace

void Module::check_fields(const Site& site) {
  Listed listed;
  fields(listed);
  Members(*this, listed).check(*this, site);
  is_checked_.set();
}

}  // namespace warptape
