#include "training/task_metadata.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/registry.h"
#include "core/utf8.h"
#include "training/json_text.h"
#include "training/sequence_checkpoint.h"

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw FileError(fmt::format("[{}] {}: {}", task_metadata_key, escaped(path), message));
}

// The object of a task of this name; nothing where there is none, or one of another task.
std::optional<Json> find(const NamedTensors& checkpoint, const std::string& path,
                         const char* task) {
  const auto text = checkpoint.metadata.find(task_metadata_key);
  if (text == checkpoint.metadata.end()) {
    return std::nullopt;
  }
  Json json = try_parse_json(text->second);
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) {
    fail(path, fmt::format("got {}, wanted a JSON object with a name", excerpt(text->second)));
  }
  return json["name"] == task ? std::optional(std::move(json)) : std::nullopt;
}

template <class T>
T read(const Json& json, const std::string& path, const char* key) {
  try {
    return json.at(key).get<T>();
  } catch (const Json::exception& error) {
    fail(path, fmt::format("{}: {}", key, excerpt(error.what())));
  }
}

void check_scales(const std::vector<double>& mean, const std::vector<double>& std, bool may_be_none,
                  const std::string& path) {
  const bool are_scales =
      mean.size() == std.size() && (may_be_none || !mean.empty()) &&
      std::all_of(mean.begin(), mean.end(), [](double v) { return std::isfinite(v); }) &&
      std::all_of(std.begin(), std.end(), [](double v) { return v > 0 && std::isfinite(v); });
  if (!are_scales) {
    fail(path, "mean and std: wanted one of each per channel, std above 0");
  }
}

}  // namespace

std::string to_json(const SeriesMetadata& metadata) {
  const Json json{{"name", "series"},
                  {"classes", metadata.classes},
                  {"pooling", metadata.pooling},
                  {"normalise", metadata.normalise},
                  {"missing", metadata.missing},
                  {"mean", metadata.mean},
                  {"std", metadata.std}};
  return json_line(json);
}

std::string to_json(const PixelMetadata& metadata) {
  return json_line({{"name", "sequence"},
                    {"mean", metadata.mean},
                    {"std", metadata.std},
                    {"permute", metadata.permute},
                    {"steps", metadata.steps}});
}

std::string to_json(const CharMetadata& metadata) {
  std::string text;
  for (const uint32_t code : metadata.vocabulary) {
    text += to_utf8(code);
  }
  return json_line({{"name", "char"}, {"vocabulary", text}});
}

std::optional<SeriesMetadata> series_metadata(const NamedTensors& checkpoint,
                                              const std::string& path) {
  const std::optional<Json> json = find(checkpoint, path, "series");
  if (!json) {
    return std::nullopt;
  }
  SeriesMetadata metadata;
  metadata.classes = read<std::vector<std::string>>(*json, path, "classes");
  metadata.pooling = read<std::string>(*json, path, "pooling");
  metadata.normalise = read<std::string>(*json, path, "normalise");
  metadata.missing = read<std::string>(*json, path, "missing");
  metadata.mean = read<std::vector<double>>(*json, path, "mean");
  metadata.std = read<std::vector<double>>(*json, path, "std");
  const auto check_name = [&](const char* key, const std::string& got,
                              const std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), got) == names.end()) {
      fail(path, fmt::format("{}: got {}, wanted {}", key, excerpt(got), joined_by_or(names)));
    }
  };
  check_name("pooling", metadata.pooling, {"last", "mean"});
  check_name("normalise", metadata.normalise, {"none", "series", "channel"});
  check_name("missing", metadata.missing, {"refuse", "previous"});
  check_scales(metadata.mean, metadata.std, metadata.normalise != "channel", path);
  return metadata;
}

std::optional<PixelMetadata> pixel_metadata(const NamedTensors& checkpoint,
                                            const std::string& path) {
  const std::optional<Json> json = find(checkpoint, path, "sequence");
  if (!json) {
    return std::nullopt;
  }
  PixelMetadata metadata{.mean = read<std::vector<double>>(*json, path, "mean"),
                         .std = read<std::vector<double>>(*json, path, "std"),
                         .permute = read<int64_t>(*json, path, "permute"),
                         .steps = read<int64_t>(*json, path, "steps")};
  check_scales(metadata.mean, metadata.std, false, path);
  if (metadata.permute < 0 || metadata.steps < 1) {
    fail(path, fmt::format("permute and steps: got {} and {}, wanted 0 or more and 1 or more",
                           metadata.permute, metadata.steps));
  }
  return metadata;
}

std::optional<CharMetadata> char_metadata(const NamedTensors& checkpoint, const std::string& path) {
  const std::optional<Json> json = find(checkpoint, path, "char");
  if (!json) {
    return std::nullopt;
  }
  CharMetadata metadata;
  const auto text = read<std::string>(*json, path, "vocabulary");
  for (size_t at = 0; at < text.size();) {
    const Utf8Character next = first_character(std::string_view(text).substr(at));
    if (next.size == 0 || std::find(metadata.vocabulary.begin(), metadata.vocabulary.end(),
                                    next.code) != metadata.vocabulary.end()) {
      fail(path, fmt::format("vocabulary: got {}, wanted UTF-8 in which each character comes once",
                             excerpt(text)));
    }
    metadata.vocabulary.push_back(next.code);
    at += next.size;
  }
  return metadata;
}

}  // namespace warptape
