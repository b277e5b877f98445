#include "training/safetensors.h"

#include <fmt/format.h>
#include <algorithm>
#include <bit>
#include <cmath>

#include "core/primitives.h"
#include "tests/training/bad_files.h"

namespace warptape {
namespace {

std::string with_length(uint64_t length, const std::string& rest) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>(length >> (8 * i) & 0xff);
  }
  return bytes + rest;
}

std::string file_of(const std::string& json, const std::string& data = "") {
  return with_length(json.size(), json + data);
}

std::string object(const Parts& members) {
  return fmt::format("{{{}}}", fmt::join(members, ","));
}

// "name": {...} of one tensor.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                const std::string& name = "w") {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

NamedTensors load(const std::string& bytes) {
  const TemporaryFolder folder;
  return load_safetensors(folder.write("model.safetensors", bytes));
}

void expect_refused(const std::string& bytes, Parts parts) {
  SCOPED_TRACE(testing::PrintToString(bytes.substr(0, 200)));
  parts.insert(parts.end(), {"[load_safetensors]", "model.safetensors"});
  expect_file_error([&] { load(bytes); }, parts);
}

TEST(Safetensors, LoadsEveryDtypeInHeaderOrder) {
  const std::string json =
      object({one("U8", "[3]", "[24,27]", "c"), one("F32", "[2,1]", "[16,24]", "b"),
              R"("__metadata__":{"k":"v"})", one("F64", "[]", "[0,8]", "a"),
              one("I64", "[1]", "[8,16]", "d")});
  const std::string data = raw<double>({0.1}) + raw<int64_t>({-5}) + raw<float>({1, 2}) + "\1\2\3";
  const NamedTensors loaded = load(file_of(json, data));
  ASSERT_EQ(loaded.tensors.size(), 4U);
  EXPECT_EQ(loaded.tensors[0].first, "c");
  EXPECT_EQ(loaded.tensors[0].second.to_vector<uint8_t>(), (std::vector<uint8_t>{1, 2, 3}));
  EXPECT_EQ(loaded.tensors[1].second.to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_EQ(loaded.tensors[1].second.shape(), (Shape{2, 1}));
  EXPECT_EQ(loaded.tensors[2].second.item(), 0.1);
  EXPECT_EQ(loaded.tensors[2].second.rank(), 0);
  EXPECT_EQ(loaded.tensors[3].second.to_vector<int64_t>(), std::vector<int64_t>{-5});
  EXPECT_EQ(loaded.metadata, (std::map<std::string, std::string>{{"k", "v"}}));
}

TEST(Safetensors, LoadsHalfPrecision) {
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x0001, 0x83ff, 0x7bff, 0x7c00, 0x8000};
  const std::vector<float> values = {1, -2, 0x1p-24F, -0x3ffp-24F, 65504, INFINITY, -0.0F};
  const Tensor tensor =
      load(file_of(object({one("F16", "[7]", "[0,14]")}), raw(halves))).tensors[0].second;
  EXPECT_EQ(raw(tensor.to_vector<float>()), raw(values));
  const Tensor nan =
      load(file_of(object({one("F16", "[]", "[0,2]")}), raw<uint16_t>({0x7e00}))).tensors[0].second;
  EXPECT_TRUE(std::isnan(nan.item()));
  const Tensor brain =
      load(file_of(object({one("BF16", "[2]", "[0,4]")}), raw<uint16_t>({0x3f80, 0xc040})))
          .tensors[0]
          .second;
  EXPECT_EQ(brain.dtype(), bfloat16);
  EXPECT_EQ(brain.to(float32).to_vector<float>(), (std::vector<float>{1, -3}));
}

TEST(Safetensors, AcceptsTheUnusualButLegal) {
  EXPECT_TRUE(load(file_of("{}")).tensors.empty());
  EXPECT_TRUE(load(file_of(" \n\t{}   ")).tensors.empty());
  const std::string empties =
      object({one("F32", "[0]", "[0,0]", "a"), one("U8", "[2]", "[0,2]", "b"),
              one("F32", "[3,0,2]", "[2,2]", "")});
  const NamedTensors loaded = load(file_of(empties, "xy"));
  EXPECT_EQ(loaded.tensors[0].second.shape(), Shape{0});
  EXPECT_EQ(loaded.tensors[2].second.shape(), (Shape{3, 0, 2}));
  const std::string escaped = object({one("U8", "[1]", "[0,1]", "\\u00e9\\n")});
  EXPECT_EQ(load(file_of(escaped, "x")).tensors[0].first, "\xc3\xa9\n");
  EXPECT_EQ(load(file_of(object({one("U8", "[1,1,1,1,1,1,1,1]", "[0,1]")}), "x"))
                .tensors[0]
                .second.rank(),
            8);
}

TEST(Safetensors, RefusesBadLengths) {
  expect_refused("", {"got 0 bytes", "the 8"});
  expect_refused("1234567", {"got 7 bytes", "the 8"});
  expect_refused(with_length(0, ""), {"no JSON"});
  expect_refused(with_length(3, "{}"), {"got 3 bytes", "the 2"});
  expect_refused(with_length(100'000'000, "{}"), {"got 100000000 bytes", "the 2"});
  expect_refused(with_length(100'000'001, "{}"), {"got 100000001 bytes", "at most 100000000"});
  expect_refused(with_length(1ULL << 63, "{}"), {"got 9223372036854775808 bytes"});
  expect_refused(with_length(UINT64_MAX, "{}"), {"got 18446744073709551615 bytes"});
  const std::string good = file_of(object({one("F32", "[2]", "[0,8]")}), "12345678");
  expect_refused(good.substr(0, good.size() - 1),
                 {std::to_string(good.size() - 1), std::to_string(good.size())});
  expect_refused(good + "x", {std::to_string(good.size() + 1), std::to_string(good.size())});
  expect_refused(file_of("{}", "x"), {"got 11 bytes", "wanted 10"});
}

TEST(Safetensors, RefusesBadJson) {
  struct Case {
    std::string json;
    Parts parts;
  };
  const std::string tensor = one("U8", "[1]", "[0,1]");
  const std::vector<Case> cases = {
      {"", {"no JSON"}},
      {"{", {"no JSON"}},
      {"{}{}", {"no JSON"}},
      {object({tensor, ""}), {"no JSON"}},
      {std::string("{}\0", 3), {"no JSON"}},
      {"{\"\xff\xfe\":1}", {"no JSON in UTF-8", "byte 3"}},
      {"{\"\xed\xa0\x80\":1}", {"no JSON in UTF-8"}},
      {"[]", {"got an array", "an object"}},
      {"7", {"got 7", "an object"}},
      {"\"text\"", {"the string \"text\""}},
      {"null", {"got null", "an object"}},
      {"{\"w\":3}", {"\"w\"", "got 3", "an object"}},
      {"{\"w\":{}}", {"\"w\"", "no dtype"}},
      {"{\"w\":{\"dtype\":\"U8\",\"shape\":[1]}}", {"\"w\"", "no data_offsets"}},
      {object({tensor, tensor}), {"\"w\"", "twice"}},
      {"{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", {"\"w\"", "\"dtype\"", "twice"}},
      {"{\"w\":{\"other\":1}}", {"\"w\"", "no dtype"}},
      {"{\"w\":{\"dtype\":-0}}", {"\"w\", dtype", "got -0", "a string"}},
      {"{\"w\":{\"dtype\":1}}", {"\"w\", dtype", "got 1", "a string"}},
      {"{\"w\":{\"shape\":\"U8\"}}", {"\"w\", shape", "\"U8\"", "an array"}},
      {"{\"w\":{\"shape\":{}}}", {"\"w\", shape", "an object"}},
      {"{\"w\":{\"shape\":[[1]]}}", {"got an array", "an integer"}},
      {"{\"w\":{\"shape\":[\"1\"]}}", {"the string \"1\"", "an integer"}},
      {"{\"w\":{\"shape\":[true,false]}}", {"got true", "an integer"}},
      {"{\"__metadata__\":[]}", {"__metadata__", "got an array"}},
      {"{\"__metadata__\":{\"k\":1}}", {"\"k\"", "got 1", "a string"}},
      {"{\"__metadata__\":{\"k\":{}}}", {"\"k\"", "an object", "a string"}},
      {"{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}", {"\"k\"", "twice"}},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", {"__metadata__", "twice"}},
      {"{\"__metadata__\":null,\"__metadata__\":{}}", {"__metadata__", "twice"}},
      {"{\"__metadata__\":false}", {"__metadata__", "got false", "an object"}},
      {"{\"__metadata__\":{\"k\":null}}", {"\"k\"", "got null", "a string"}},
      {"{\"w\":null}", {"\"w\"", "got null", "an object"}},
      {"\xef\xbb\xbf{}", {"byte order mark"}},
      {"{\"w\":{\"more\":[{\"a\":1}],\"dtype\":\"U8\",\"shape\":[1]}}", {"no data_offsets"}},
      {"{\"w\":{\"more\":" + std::string(5000, '['), {"\"more\"", "levels"}},
      {"{\"w\":{\"shape\":null}}", {"\"w\", shape", "got null"}},
      {std::string(5000, '['), {"got an array"}},
      {std::string(5000, '[') + std::string(5000, ']'), {"got an array"}},
  };
  for (const Case& bad : cases) {
    expect_refused(file_of(bad.json, "x"), bad.parts);
  }
  std::string deep;
  for (int i = 0; i < 5000; ++i) {
    deep += "{\"a\":";
  }
  expect_refused(file_of(deep), {"\"a\"", "levels"});
  expect_refused(file_of("{\"w\":{\"shape\":" + std::string(5000, '[')), {"got an array"});
}

TEST(Safetensors, ReadsWhatTheReferenceReads) {
  const TemporaryFolder folder;
  const auto load = [&](const std::string& json) {
    return load_safetensors(folder.write("x", file_of(json, "x")));
  };
  const std::string w = one("U8", "[1]", "[0,1]");
  const std::string more = R"("w":{"dtype":"U8","more":{"a":[1,-2,3e9,null,true,{"shape":"x"}]},)"
                           R"("shape":[1],"more":"again","data_offsets":[0,1],"last":[]})";
  for (const std::string& json :
       {object({R"("__metadata__":null)", w}), object({w, R"("__metadata__":null)"}),
        object({R"("__metadata__":{})", w}), object({R"("__met\u0061data__":null)", w}),
        object({more}), " \n" + object({w}), object({w}) + "  \t\r\n"}) {
    SCOPED_TRACE(json);
    const NamedTensors loaded = load(json);
    ASSERT_EQ(loaded.tensors.size(), 1U);
    EXPECT_EQ(loaded.tensors[0].first, "w");
    EXPECT_EQ(loaded.tensors[0].second.to_vector<uint8_t>(), std::vector<uint8_t>{'x'});
    EXPECT_TRUE(loaded.metadata.empty());
  }
}

TEST(Safetensors, NamesInMessagesAreWholeAndHarmless) {
  const std::string name = R"(a\u0000b\u001b[1m\nc\u202e)";
  expect_refused(file_of(object({one("I32", "[1]", "[0,4]", name)}), "1234"),
                 {R"("a\x00b\x1b[1m\x0ac\u202e": dtype: got I32, wanted F32)"});
}

TEST(Safetensors, RefusesBadShapes) {
  struct Case {
    std::string shape;
    Parts parts;
  };
  for (const Case& bad :
       std::vector<Case>{{"[-1]", {"got -1", "0 or more"}},
                         {"[-0]", {"got -0", "0 or more"}},
                         {"[1.5]", {"got 1.5"}},
                         {"[8e0]", {"got 8e0"}},
                         {"[9223372036854775808]", {"got 9223372036854775808"}},
                         {"[18446744073709551616]", {"got 18446744073709551616"}},
                         {"[4611686018427387904]", {"(4611686018427387904)", "overflows"}},
                         {"[4294967296,4294967296]", {"overflows"}},
                         {"[0,4294967296,4294967296]", {"overflows"}},
                         {"[4294967296,4294967296,0]", {"overflows"}},
                         {"[1,1,1,1,1,1,1,1,1]", {"more than 8 dimensions"}},
                         {"[3]", {"8 bytes", "wanted 12", "F32", "(3)"}},
                         {"[0]", {"8 bytes", "wanted 0"}},
                         {"[]", {"8 bytes", "wanted 4"}}}) {
    SCOPED_TRACE(bad.shape);
    Parts parts = bad.parts;
    parts.push_back("\"w\"");
    expect_refused(file_of(object({one("F32", bad.shape, "[0,8]")}), "12345678"), parts);
  }
}

TEST(Safetensors, RefusesBadDtypes) {
  for (const std::string dtype : {"I32", "BOOL", "F8_E4M3", "f32", "", "F32 "}) {
    expect_refused(file_of(object({one(dtype, "[1]", "[0,4]", "layer.w")}), "1234"),
                   {"\"layer.w\"", "got " + dtype, "F32, F64, U8, I64, F16 or BF16"});
  }
  expect_refused(file_of(object({one("F16", "[2]", "[0,8]")}), "12345678"), {"wanted 4 for F16"});
}

TEST(Safetensors, RefusesBadRanges) {
  const auto two = [](const std::string& a, const std::string& b) {
    return object({one("U8", "[2]", a, "first"), one("U8", "[2]", b, "second")});
  };
  expect_refused(file_of(two("[0,2]", "[3,5]"), "12345"), {"\"second\"", "is 3, wanted 2", "hole"});
  expect_refused(file_of(two("[0,2]", "[1,3]"), "123"),
                 {"\"second\"", "is 1, wanted 2", "overlap"});
  expect_refused(file_of(two("[0,2]", "[0,2]"), "12"), {"is 0, wanted 2", "overlap"});
  expect_refused(file_of(two("[3,5]", "[1,3]"), "12345"), {"\"second\"", "is 1, wanted 0", "hole"});
  expect_refused(file_of(two("[2,0]", "[2,4]"), "1234"), {"\"first\"", "[2, 0]", "begin <= end"});
  expect_refused(file_of(two("[0,2]", "[2,3]"), "123"), {"\"second\"", "1 bytes, wanted 2"});
  expect_refused(file_of(two("[0,2]", "[2,4,6]"), "1234"), {"\"second\"", "more than 2 numbers"});
  expect_refused(file_of(two("[0,2]", "[2]"), "1234"), {"\"second\"", "got 1 numbers"});
  expect_refused(file_of(two("[]", "[2,4]"), "1234"), {"\"first\"", "got 0 numbers"});
  expect_refused(file_of(two("[-2,0]", "[2,4]"), "1234"), {"\"first\"", "got -2"});
  expect_refused(file_of(two("[0,18446744073709551615]", "[2,4]"), "1234"), {"\"first\""});
  const std::string huge = object({one("U8", "[9223372036854775807]", "[0,9223372036854775807]")});
  expect_refused(file_of(huge, "x"), {"9223372036854775807 of data", "size: got"});
}

TEST(Safetensors, RefusesSpecialFiles) {
  expect_refuses_special_files([](const std::string& path) { load_safetensors(path); });
}

TEST(Safetensors, SurvivesMutations) {
  const TemporaryFolder folder;
  const std::string json = object({R"("__metadata__":{"k":"v"})", one("F16", "[2,2]", "[0,8]", "a"),
                                   one("U8", "[3]", "[8,11]", "b")});
  expect_survives_mutations(file_of(json, std::string(11, 'x')), [&](const std::string& bytes) {
    load_safetensors(folder.write("x.safetensors", bytes));
  });
}

TEST(Safetensors, RoundTripsEveryBit) {
  const TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  const Tensor weights = tensor<float>(
      {1, -0.0F, std::bit_cast<float>(0x7fc12345U), INFINITY, 1e-45F, 3.4e38F}, {1, 3, 2, 1});
  const std::vector<std::pair<std::string, Tensor>> tensors = {
      {"z", tensor<uint8_t>({1, 2, 3}, {3})},
      {"weights", primitives::relayout(weights, MemoryFormat::ChannelsLast)},
      {"a \"quoted\"\n\xc3\xa9", tensor<double>({0.1, NAN}, {2})},
      {"steps", tensor<int64_t>({-1}, {})},
      {"brain", Tensor::from_vector(std::vector{simt::bfloat16::from_bits(0x7F81),
                                                simt::bfloat16::from_bits(0xC049)},
                                    {2, 1})},
      {"none", Tensor::empty({0, 4})}};
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"\"\\", "\x01"}};
  save_safetensors(path, tensors, metadata);
  const NamedTensors loaded = load_safetensors(path);
  const Parts order = {"a \"quoted\"\n\xc3\xa9", "steps", "none", "weights", "brain", "z"};
  ASSERT_EQ(loaded.tensors.size(), order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const auto& [name, tensor] = loaded.tensors[i];
    EXPECT_EQ(name, order[i]);
    const auto saved = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const auto& named) { return named.first == order[i]; });
    EXPECT_EQ(tensor.shape(), saved->second.shape());
    ASSERT_EQ(tensor.dtype(), saved->second.dtype());
    dispatch_all(tensor.dtype(), [&]<class T>() {
      EXPECT_EQ(raw(loaded.tensors[i].second.to_vector<T>()), raw(saved->second.to_vector<T>()));
    });
  }
  EXPECT_EQ(loaded.metadata, metadata);
  EXPECT_EQ(folder.names(), Parts{"model.safetensors"});
}

TEST(Safetensors, WritesAlignedInTheOrderOfTheReference) {
  const TemporaryFolder folder;
  save_safetensors(folder.path("x"),
                   {{"b", tensor<uint8_t>({7}, {1})}, {"a", tensor<float>({1}, {})}}, {{"k", "v"}});
  std::string json = object({R"("__metadata__":{"k":"v"})", one("F32", "[]", "[0,4]", "a"),
                             one("U8", "[1]", "[4,5]", "b")});
  json.append((8 - json.size() % 8) % 8, ' ');
  EXPECT_EQ(folder.read("x"), file_of(json, raw<float>({1}) + "\7"));
  save_safetensors(folder.path("y"), {});
  EXPECT_EQ(folder.read("y"), file_of("{}      "));
}

TEST(Safetensors, RefusesToSaveNonsense) {
  const TemporaryFolder folder;
  const std::string path = folder.path("x");
  const Tensor one_element = Tensor::zeros({1});
  using Tensors = std::vector<std::pair<std::string, Tensor>>;
  const auto refused = [&](const Tensors& tensors, const Parts& parts) {
    expect_error<ValueError>([&] { save_safetensors(path, tensors); }, parts);
  };
  refused({{"w", one_element}, {"w", one_element}}, {"[save_safetensors]", "\"w\" twice"});
  refused({{"w", Tensor()}}, {"\"w\"", "undefined"});
  refused({{"__metadata__", one_element}}, {"__metadata__"});
  refused({{"\xff", one_element}}, {"\\xff", "UTF-8"});
  expect_error<ValueError>([&] { save_safetensors(path, {}, {{"k", "\xff"}}); }, {"UTF-8"});
  expect_file_error(
      [&] {
        save_safetensors(folder.path("none/x"), {{"w", one_element}});
      },
      {"[save_safetensors]", "none/x", "No such file"});
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace warptape
