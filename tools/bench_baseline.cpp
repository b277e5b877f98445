#include "tools/bench_baseline.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "training/file.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t most_bytes = 16 << 20;
constexpr const char* who = "bench step";
constexpr const char* figures[] = {"median_ms", "min_ms", "cpu_ms", "peak_tensors_mb"};

// As a message shows it.
std::string shown(const Json& value) {
  return excerpt(value.is_string() ? value.get<std::string>() : json_line(value));
}

void require(bool condition, const std::string& path, const std::string& message) {
  check<FileError>(condition, "[{}] {}: {}, wanted what `warptape bench step MODEL --json` prints",
                   who, escaped(path), message);
}

Json ratio_of(double before, double now) {
  return {{"before", before}, {"now", now}, {"ratio", now / before}};
}

// null where there is no ratio: one of the two lacks it, or it took no time then.
Json ratio_in(const Json& before, const Json& now, const char* name) {
  const auto then = before.find(name);
  const auto here = now.find(name);
  if (then == before.end() || here == now.end() || !then->is_number() || then->get<double>() <= 0) {
    return nullptr;
  }
  return ratio_of(then->get<double>(), here->get<double>());
}

std::string line(const std::string& name, const Json& ratio) {
  return fmt::format("  {:>10.3f} -> {:>10.3f}  {:>6.3f}  {}\n", ratio["before"].get<double>(),
                     ratio["now"].get<double>(), ratio["ratio"].get<double>(), name);
}

}  // namespace

Json read_baseline(const std::string& path, const Json& now) {
  const Json before = try_parse_json(read_file(path, most_bytes, who));
  require(before.is_object(), path, "got no JSON object");
  for (const auto& [name, value] : now.items()) {
    require(before.contains(name), path, fmt::format("got no \"{}\"", name));
  }
  for (const char* name : {"median_ms", "min_ms"}) {
    const auto found = before.find(name);
    require(found != before.end() && found->is_number() && found->get<double>() > 0, path,
            fmt::format("{}: got {}", name, found == before.end() ? "nothing" : shown(*found)));
  }
  for (const auto& [name, value] : now.items()) {
    check<ValueError>(before[name] == value, "[{}] --baseline {}: {}: got {}, wanted {}", who,
                      escaped(path), name, shown(before[name]), shown(value));
  }
  return before;
}

Json compare_with_baseline(const Json& before, const Json& now) {
  Json comparison;
  for (const char* name : figures) {
    if (const Json ratio = ratio_in(before, now, name); !ratio.is_null()) {
      comparison[name] = ratio;
    }
  }
  const auto then = before.find("profile");
  if (const auto here = now.find("profile"); here != now.end() && then != before.end()) {
    for (const auto& [name, total] : here->items()) {
      if (then->is_object() && then->contains(name) && (*then)[name].is_object()) {
        if (const Json ratio = ratio_in((*then)[name], total, "self_ms"); !ratio.is_null()) {
          comparison["profile"][name] = ratio;
        }
      }
    }
  }
  return comparison;
}

std::string to_lines(const Json& comparison) {
  std::string text = "  against the baseline: before -> now, and now / before\n";
  for (const char* name : figures) {
    if (comparison.contains(name)) {
      text += line(name, comparison[name]);
    }
  }
  if (comparison.contains("profile")) {
    for (const auto& [name, ratio] : comparison["profile"].items()) {
      text += line(name + ", ms", ratio);
    }
  }
  return text;
}

}  // namespace warptape::tools
