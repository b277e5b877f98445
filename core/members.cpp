#include "core/members.h"

#include <mutex>
#include <set>

namespace warptape {
namespace {

struct Members {
  std::mutex mutex;
  std::set<MemberPlace> places;
};

Members& members() {
  static auto* all = new Members;  // outlives every module
  return *all;
}

}  // namespace

void note_member(MemberPlace place) noexcept {
  Members& all = members();
  const std::lock_guard lock(all.mutex);
  all.places.insert(place);
}

void forget_member(MemberPlace place) noexcept {
  Members& all = members();
  const std::lock_guard lock(all.mutex);
  all.places.erase(place);
}

std::vector<MemberPlace> members_within(const void* begin, const void* end) {
  Members& all = members();
  const std::lock_guard lock(all.mutex);
  return {all.places.lower_bound({begin, MemberKind{}}),
          all.places.lower_bound({end, MemberKind{}})};
}

}  // namespace warptape
