#include "training/npy.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/primitives.h"
#include "tests/training/bad_files.h"

namespace warptape {
namespace {

// The bytes of a file: the dict as it is, without padding, then the data.
std::string npy(const std::string& dict, const std::string& data, char major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += major;
  bytes += '\0';
  const size_t length_bytes = major == 1 ? 2 : 4;
  for (size_t i = 0; i < length_bytes; ++i) {
    bytes += static_cast<char>(dict.size() >> (8 * i) & 0xff);
  }
  return bytes + dict + data;
}

std::string dict(const std::string& descr, const std::string& shape,
                 const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

template <class T>
std::string raw(const std::vector<T>& values, bool reversed = false) {
  std::string bytes;
  for (const T& value : values) {
    std::string element(sizeof(T), '\0');
    std::memcpy(element.data(), &value, sizeof(T));
    bytes += reversed ? std::string(element.rbegin(), element.rend()) : element;
  }
  return bytes;
}

Tensor load(const std::string& bytes) {
  const TemporaryFolder folder;
  return load_npy(folder.write("array.npy", bytes));
}

void expect_refused(const std::string& bytes, Parts parts) {
  parts.insert(parts.end(), {"[load_npy]", "array.npy"});
  expect_file_error([&] { load(bytes); }, parts);
}

template <class T>
void expect_loads(const std::string& bytes, const Shape& shape, const std::vector<T>& values) {
  const Tensor tensor = load(bytes);
  EXPECT_EQ(tensor.shape(), shape) << tensor.shape().to_string();
  EXPECT_EQ(tensor.dtype(), dtype_of<T>());
  EXPECT_EQ(tensor.to_vector<T>(), values);
}

TEST(Npy, LoadsEveryDtype) {
  const std::string two = "(2,)";
  for (const bool big : {false, true}) {
    const std::string order = big ? ">" : "<";
    expect_loads<float>(npy(dict(order + "f4", two), raw<float>({1.5F, -2}, big)), {2}, {1.5F, -2});
    expect_loads<double>(npy(dict(order + "f8", two), raw<double>({0.1, -2}, big)), {2}, {0.1, -2});
    expect_loads<int64_t>(npy(dict(order + "i8", two), raw<int64_t>({1LL << 40, -2}, big)), {2},
                          {1LL << 40, -2});
    expect_loads<int64_t>(npy(dict(order + "i4", "(3,)"), raw<int32_t>({-2, 7, 1 << 30}, big)), {3},
                          {-2, 7, 1 << 30});
    expect_loads<uint8_t>(npy(dict(order + "u1", two), "\x05\xff"), {2}, {5, 255});
  }
  expect_loads<uint8_t>(npy(dict("|u1", two), "\x05\xff"), {2}, {5, 255});
  expect_loads<uint8_t>(npy(dict("|b1", "(3,)"), std::string("\x00\x01\x02", 3)), {3}, {0, 1, 1});
}

TEST(Npy, WidensFloat16) {
  // One, -2, the largest, the smallest subnormal and the largest one, the smallest normal number,
  // zeros, infinities, NaN.
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x0400,
                                        0x0000, 0x8000, 0x7c00, 0xfc00, 0x7e01};
  const std::vector<float> wanted = {1,        -2, 65504, 0x1p-24F, -0x1.ff8p-15F,
                                     0x1p-14F, 0,  -0.0F, INFINITY, -INFINITY};
  for (const bool big : {false, true}) {
    const Tensor tensor = load(npy(dict(big ? ">f2" : "<f2", "(11,)"), raw(halves, big)));
    EXPECT_EQ(tensor.dtype(), float32);
    const std::vector<float> values = tensor.to_vector<float>();
    ASSERT_EQ(values.size(), halves.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(values[i], wanted[i]) << i;
      EXPECT_EQ(std::signbit(values[i]), std::signbit(wanted[i])) << i;
    }
    EXPECT_TRUE(std::isnan(values.back()));
  }
  const std::vector<uint16_t> columns = {0x3c00, 0x4200, 0x4000, 0x4400};  // 1, 3, 2, 4
  for (const bool big : {false, true}) {
    expect_loads<float>(npy(dict(big ? ">f2" : "<f2", "(2, 2)", "True"), raw(columns, big)), {2, 2},
                        {1, 2, 3, 4});
  }
  expect_loads<float>(npy(dict("<f2", "(0, 3)"), ""), {0, 3}, {});
  expect_refused(npy(dict("<f2", "(2,)"), "123"), {"got 3 bytes", "wanted 4"});
}

TEST(Npy, LoadsEveryVersionAndShape) {
  const std::string data = raw<float>({1, 2, 3, 4, 5, 6});
  for (const char version : {'\1', '\2', '\3'}) {
    expect_loads<float>(npy(dict("<f4", "(2, 3)"), data, version), {2, 3}, {1, 2, 3, 4, 5, 6});
  }
  expect_loads<float>(npy(dict("<f4", "()"), raw<float>({7})), {}, {7});
  expect_loads<float>(npy(dict("<f4", "(0,)"), ""), {0}, {});
  expect_loads<float>(npy(dict("<f4", "(3, 0, 2)"), ""), {3, 0, 2}, {});
  expect_loads<float>(npy(dict("<f4", "(1, 1, 1, 2, 1, 3, 1, 1)"), data), {1, 1, 1, 2, 1, 3, 1, 1},
                      {1, 2, 3, 4, 5, 6});
}

TEST(Npy, TurnsFortranOrderIntoRows) {
  const std::string data = raw<float>({0, 3, 1, 4, 2, 5});  // columns of {{0, 1, 2}, {3, 4, 5}}
  expect_loads<float>(npy(dict("<f4", "(2, 3)", "True"), data), {2, 3}, {0, 1, 2, 3, 4, 5});
  std::vector<int64_t> logical;
  std::vector<int32_t> stored(24);
  for (int i = 0; i < 24; ++i) {
    logical.push_back(i);
    stored[static_cast<size_t>(i / 12 + i / 4 % 3 * 2 + i % 4 * 6)] = i;
  }
  expect_loads<int64_t>(npy(dict("<i4", "(2, 3, 4)", "True"), raw(stored)), {2, 3, 4}, logical);
  expect_loads<float>(npy(dict("<f4", "()", "True"), raw<float>({7})), {}, {7});
  expect_loads<float>(npy(dict("<f4", "(0, 2)", "True"), ""), {0, 2}, {});
}

TEST(Npy, ReadsTheDictAsPythonDoes) {
  const std::string data = raw<float>({1, 2});
  for (const char* text :
       {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f4\"}",
        "{'shape': (2,), 'descr': "
        "'<f4', 'fortran_order': False, }        \n",
        "  { 'shape' : ( 2 , ) ,\n'descr'\t: \"<f4\" , 'fortran_order' :False ,}  ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L,), }"}) {
    SCOPED_TRACE(text);
    expect_loads<float>(npy(text, data), {2}, {1, 2});
  }
}

TEST(Npy, RefusesBadDicts) {
  const std::string rest = ", 'fortran_order': False, 'shape': (2,)}";
  struct Case {
    std::string text;
    Parts parts;
  };
  const std::vector<Case> cases = {
      {"", {"got its end", "'{'"}},
      {"[]", {"\"[]\"", "byte 0", "'{'"}},
      {"{}", {"no 'descr'"}},
      {"{'descr': '<f4', 'shape': (2,)}", {"no 'fortran_order'"}},
      {"{'descr': '<f4', 'fortran_order': False}", {"no 'shape'"}},
      {"{'descr': '<f4', 'descr': '<f4'" + rest, {"'descr'", "twice"}},
      {"{'other': '<f4'" + rest, {"key 'other'", "fortran_order"}},
      {"{'descr': [('x', '<f4')]" + rest, {"structured"}},
      {"{'descr': 4" + rest, {"\"4", "a string in quotes"}},
      {"{'descr: 4", {"closing quote"}},
      {"{'descr' '<f4'" + rest, {"':'"}},
      {"{'descr': '<f4'" + rest + " x", {"\"x\"", "nothing more"}},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", {"True or False"}},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", {"'('"}},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", {"a comma", "(3,)"}},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, x)}", {"\"x)}\"", "an integer"}},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3", {"its end"}},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}", {"a comma"}},
      {std::string(5000, '{'), {"a string in quotes"}},
      {std::string("{\0", 2), {"\\x00", "a string in quotes"}},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.text.substr(0, 100));
    expect_refused(npy(bad.text, raw<float>({1, 2})), bad.parts);
  }
}

TEST(Npy, RefusesOtherDtypesByName) {
  for (const std::string descr : {"|O", "|f2", "<c8", "<U3", "|S4", "<u4", "<i2", "|i1", "<M8[ns]",
                                  "|V8", "f4", "=f4", "|f4", "<", "", "<f44"}) {
    expect_refused(npy(dict(descr, "(1,)"), "12345678"), {"dtype: got '" + descr + "'", "f4, f8"});
  }
  expect_refused(npy(dict("|O", "(1,)"), "12345678"), {"Python objects"});
}

TEST(Npy, RefusesBadShapes) {
  struct Case {
    std::string shape;
    Parts parts;
  };
  for (const Case& bad :
       std::vector<Case>{{"(-1,)", {"got -1", "0 or more"}},
                         {"(9223372036854775808,)", {"got 9223372036854775808", "2^63"}},
                         {"(9223372036854775807,)", {"9223372036854775807", "overflows"}},
                         {"(4294967296, 4294967296)", {"(4294967296, 4294967296)", "overflows"}},
                         {"(0, 4294967296, 4294967296)", {"overflows"}},
                         {"(1, 1, 1, 1, 1, 1, 1, 1, 1)", {"more than 8 dimensions"}},
                         {"(1000000000000,)", {"got 8 bytes", "wanted 4000000000000"}}}) {
    SCOPED_TRACE(bad.shape);
    expect_refused(npy(dict("<f4", bad.shape), "12345678"), bad.parts);
  }
}

TEST(Npy, RefusesOtherSizes) {
  const std::string good = npy(dict("<f4", "(2,)"), raw<float>({1, 2}));
  expect_refused(good + "x", {"got 9 bytes", "wanted 8", "(2)"});
  expect_refused(good.substr(0, good.size() - 1), {"got 7 bytes", "wanted 8"});
  expect_refused(npy(dict("<f4", "(0,)"), "x"), {"got 1 bytes", "wanted 0"});
  expect_refused("\x93NUM", {"got 4 bytes", "the 10"});
  expect_refused("PK\x03\x04 an .npz file", {"\"PK\\x03\\x04 a\"", "a .npy file?"});
  expect_refused(std::string("\x93NUMPY\x04\x00\x00\x00", 10), {"got 4.0"});
  expect_refused(std::string("\x93NUMPY\x01\x01\x00\x00", 10), {"got 1.1"});
  expect_refused(std::string("\x93NUMPY\x02\x00\x00\x00\x00", 11), {"got 11 bytes", "12"});
  expect_refused(std::string("\x93NUMPY\x01\x00\xff\xff{}", 12), {"got 65535 bytes", "the 2"});
  expect_refused("\x93NUMPY\x02" + std::string(1, '\0') + "\xff\xff\xff\xff{}",
                 {"got 4294967295 bytes", "at most 1000000"});
  expect_refuses_special_files([](const std::string& path) { load_npy(path); });
}

TEST(Npy, SurvivesMutations) {
  const TemporaryFolder folder;
  const auto load_bytes = [&](const std::string& bytes) { load_npy(folder.write("x.npy", bytes)); };
  expect_survives_mutations(npy(dict("<f4", "(2, 3)"), std::string(24, 'x')), load_bytes);
  expect_survives_mutations(npy(dict(">i4", "(3, 2)", "True"), std::string(24, 'x')), load_bytes);
}

template <class T>
void expect_round_trip(const Shape& shape) {
  const TemporaryFolder folder;
  std::vector<T> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<T>(i * 3 + 1);
  }
  const std::string path = folder.path("saved.npy");
  save_npy(path, tensor(values, shape));
  const std::string bytes = folder.read("saved.npy");
  EXPECT_EQ((bytes.size() - values.size() * sizeof(T)) % 64, 0U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  expect_loads<T>(bytes, shape, values);
  EXPECT_EQ(folder.names(), Parts{"saved.npy"});
}

TEST(Npy, RoundTrips) {
  for (const Shape& shape :
       {Shape{}, Shape{5}, Shape{2, 3, 4}, Shape{0}, Shape{1, 2, 1, 2, 1, 2, 1, 3}}) {
    expect_round_trip<float>(shape);
    expect_round_trip<double>(shape);
    expect_round_trip<uint8_t>(shape);
    expect_round_trip<int64_t>(shape);
  }
}

TEST(Npy, WritesTheBytesThatNumPyWrites) {
  const TemporaryFolder folder;
  save_npy(folder.path("x.npy"), tensor<float>({1, 2}, {2, 1}));
  const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  EXPECT_EQ(folder.read("x.npy"),
            npy(text + std::string(117 - text.size(), ' ') + "\n", raw<float>({1, 2})));
}

// NumPy has no bfloat16: its bits are saved as u2, which is read back as such on request alone.
TEST(Npy, CarriesBfloat16AsU2) {
  const TemporaryFolder folder;
  const std::string path = folder.path("array.npy");
  const std::vector<uint16_t> bits = {0x3F80, 0xC049, 0x0001, 0x7F80, 0x7F81, 0x8000};
  for (const bool big : {false, true}) {
    const std::string bytes = npy(dict(big ? ">u2" : "<u2", "(2, 3)"), raw(bits, big));
    expect_refused(bytes, {"got '" + std::string(big ? ">u2" : "<u2") + "'"});
    folder.write("array.npy", bytes);
    const Tensor tensor = load_npy(path, {.u2_is_bfloat16 = true});
    EXPECT_EQ(tensor.dtype(), bfloat16);
    EXPECT_EQ(raw(tensor.to_vector<simt::bfloat16>()), raw(bits));
    save_npy(path, tensor);
    EXPECT_EQ(raw(load_npy(path, {.u2_is_bfloat16 = true}).to_vector<simt::bfloat16>()), raw(bits));
  }
}

TEST(Npy, SavesLogicalOrderAndNaN) {
  const TemporaryFolder folder;
  const Tensor rows = tensor<float>({0, 1, 2, NAN, 4, 5, 6, INFINITY}, {1, 2, 2, 2});
  save_npy(folder.path("x.npy"), primitives::relayout(rows, MemoryFormat::ChannelsLast));
  const std::vector<float> loaded = load_npy(folder.path("x.npy")).to_vector<float>();
  EXPECT_EQ(raw(loaded), raw(rows.to_vector<float>()));
  EXPECT_THROW(save_npy(folder.path("y.npy"), Tensor()), ValueError);
  expect_file_error([&] { save_npy(folder.path("none/x.npy"), rows); },
                    {"[save_npy]", "none/x.npy"});
}

}  // namespace
}  // namespace warptape
