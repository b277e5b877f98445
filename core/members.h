#pragma once
// Which objects of a module's parts exist, by their addresses: what its fields() forgets lies
// inside of the module, and has no other name there.

#include <cstdint>
#include <vector>

namespace warptape {

// Wholes before their parts, which may lie at the same address.
enum class MemberKind : uint8_t { Module, Weight, Parameter, Buffer };

struct MemberPlace {
  const void* address;  // of the object's Member
  MemberKind kind;
  auto operator<=>(const MemberPlace&) const = default;
};

// Those that exist now in [begin, end), in the order of their addresses.
std::vector<MemberPlace> members_within(const void* begin, const void* end);

void note_member(MemberPlace place) noexcept;
void forget_member(MemberPlace place) noexcept;

// The base of whatever a module can list: notes where it is.
template <MemberKind kind>
class Member {
 public:
  MemberPlace place() const { return {this, kind}; }

 protected:
  Member() noexcept { note_member(place()); }
  Member(const Member&) noexcept : Member() {}
  Member& operator=(const Member&) noexcept { return *this; }
  ~Member() { forget_member(place()); }
};

}  // namespace warptape
