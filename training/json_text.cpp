#include "training/json_text.h"

#include <nlohmann/json.hpp>

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', true, Json::error_handler_t::replace);
}

}  // namespace

std::string json_line(const Json& json) {
  return dumped(json, -1);
}

std::string json_document(const Json& json) {
  return dumped(json, 2) + "\n";
}

Json parse_json(const std::string& text) {
  return Json::parse(text);
}

Json try_parse_json(const std::string& text) {
  return Json::parse(text, nullptr, false);
}

}  // namespace warptape
