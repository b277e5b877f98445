#include "training/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

TEST(JsonText, IsAsciiOnALineOrADocument) {
  const Json json{{"b", 1}, {"a", "h\xc3\xa9\xff"}};
  EXPECT_EQ(json_line(json), "{\"b\":1,\"a\":\"h\\u00e9\\ufffd\"}");
  EXPECT_EQ(json_document(json), "{\n  \"b\": 1,\n  \"a\": \"h\\u00e9\\ufffd\"\n}\n");
}

TEST(JsonText, KeepsTheOrderOfKeys) {
  const std::string text = "{\"b\":1,\"a\":[2.5,null]}";
  EXPECT_EQ(json_line(parse_json(text)), text);
  EXPECT_EQ(json_line(try_parse_json(text)), text);
}

TEST(JsonText, SaysWhereTextIsNoJson) {
  try {
    parse_json("{\"b\": 1,,}");
    FAIL() << "no error";
  } catch (const Json::parse_error& error) {
    EXPECT_EQ(error.byte, 9u);
  }
  EXPECT_TRUE(try_parse_json("{\"b\": 1,,}").is_discarded());
}

}  // namespace
}  // namespace warptape
