#pragma once
// JSON as text and back. nlohmann's writer and parser are compiled here alone: they take a file of
// code four seconds.

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace warptape {

// In ASCII, so that what a path or a name has in it is escaped; what is no UTF-8 comes out as
// U+FFFD. A line without spaces and without its end; or, indented by 2, a document with it.
std::string json_line(const nlohmann::ordered_json& json);
std::string json_document(const nlohmann::ordered_json& json);

// Throws nlohmann::json::parse_error.
nlohmann::ordered_json parse_json(const std::string& text);

// A value that is_discarded() where the text is no JSON.
nlohmann::ordered_json try_parse_json(const std::string& text);

}  // namespace warptape
