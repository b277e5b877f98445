#include "core/error.h"

#include "core/check.h"
#include "core/dtype.h"
#include "core/operand.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

Site site_of_caller(const Site& site = Site::here()) {
  return site;
}

TEST(Error, SiteIsTheCallersLineWithoutFolders) {
  const int line = __LINE__ + 1;
  const Site site = site_of_caller();
  EXPECT_EQ(site.to_string(), "error_test.cpp:" + std::to_string(line));
  EXPECT_EQ(at(site), " (at error_test.cpp:" + std::to_string(line) + ")");
}

TEST(Error, SiteWithoutFolderIsPrintedWhole) {
  EXPECT_EQ((Site{"train.cpp", 12}.to_string()), "train.cpp:12");
  EXPECT_EQ((Site{"a/b/train.cpp", 7}.to_string()), "train.cpp:7");
}

TEST(Error, UnknownPlaceIsLeftOutOfMessages) {
  EXPECT_EQ(Site{}.to_string(), "unknown place");
  EXPECT_EQ(at(Site{}), "");
}

TEST(Error, CheckThrowsTheTypeWithTheFormattedMessage) {
  expect_throws<ShapeError>([] { check<ShapeError>(false, "[op] rank: got {}, wanted {}", 3, 4); },
                            {"[op] rank: got 3, wanted 4"});
  expect_throws<Error>([] { check(false, "plain"); }, {"plain"});
}

TEST(Error, CheckAppendsTheSite) {
  try {
    check<ValueError>(false, Site{"x/train.cpp", 5}, "[op] p: got {}", 2);
    FAIL() << "nothing was thrown";
  } catch (const ValueError& error) {
    EXPECT_STREQ(error.what(), "[op] p: got 2 (at train.cpp:5)");
  }
}

TEST(Error, CheckThatHoldsThrowsNothing) {
  EXPECT_NO_THROW(check<ShapeError>(true, "{}", 1));
  EXPECT_NO_THROW(check<ShapeError>(true, Site::here(), "{}", 1));
}

TEST(Error, TextOfOthersIsEscaped) {
  struct Case {
    std::string text;
    std::string wanted;
  };
  const std::vector<Case> cases = {
      {"layers.0.weight \"x\" \\", "layers.0.weight \"x\" \\"},
      {"caf\xc3\xa9 \xe6\xb0\xb4 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe6\xb0\xb4 \xf0\x9f\x98\x80"},
      {"a\x1b[1m\r\n\t\x7f", "a\\x1b[1m\\x0d\\x0a\\x09\\x7f"},
      {std::string("a\0b", 3), "a\\x00b"},
      {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0"},
      // Marks, embeddings, overrides and isolates of direction; line ends; what nobody sees.
      {"\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "\\u061c\\u200e\\u200f"},
      {"\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9", "\\u202a\\u202e\\u2066\\u2069"},
      {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\x8b\xef\xbb\xbf", "\\u2028\\u2029\\u200b\\ufeff"},
      {"\xf3\xa0\x81\x81", "\\U000e0041"},
      // No UTF-8: lone bytes, cut, too long a form, a surrogate, past the last character.
      {"\xff\x80\xc3", "\\xff\\x80\\xc3"},
      {"\xe6\xb0", "\\xe6\\xb0"},
      {"\xe6\xb0x", "\\xe6\\xb0x"},
      {"\xc0\x9b\xc1\xbf", "\\xc0\\x9b\\xc1\\xbf"},
      {"\xe0\x82\x9b", "\\xe0\\x82\\x9b"},
      {"\xf0\x80\x82\x9b", "\\xf0\\x80\\x82\\x9b"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"\xf4\x90\x80\x80\xf5", "\\xf4\\x90\\x80\\x80\\xf5"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(escaped(one.text), one.wanted);
    EXPECT_EQ(excerpt(one.text), one.wanted);
    EXPECT_EQ(escaped(escaped(one.text)), one.wanted) << "once is enough";
  }
}

TEST(Error, ExcerptsAreShort) {
  EXPECT_EQ(excerpt(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(excerpt(std::string(1000, 'x')), std::string(80, 'x') + "...");
  EXPECT_EQ(escaped(std::string(1000, 'x')).size(), 1000U);
  EXPECT_EQ(excerpt(std::string(79, 'x') + "\xc3\xa9y"), std::string(79, 'x') + "\xc3\xa9...");
}

TEST(Error, MessagesAreWholeAndHarmless) {
  const std::string text = std::string("a\0b", 3) + "\x1b[2J\xff\n  next";
  const auto fail = [&] { check<ValueError>(false, Site{"train.cpp", 5}, "[op] got {}", text); };
  try {
    fail();
    FAIL() << "nothing was thrown";
  } catch (const std::exception& error) {
    EXPECT_STREQ(error.what(), "[op] got a\\x00b\\x1b[2J\\xff\n  next (at train.cpp:5)");
  }
}

TEST(Error, EveryTypeIsAnError) {
  EXPECT_TRUE((std::is_base_of_v<Error, ShapeError>));
  EXPECT_TRUE((std::is_base_of_v<Error, DTypeError>));
  EXPECT_TRUE((std::is_base_of_v<Error, DeviceError>));
  EXPECT_TRUE((std::is_base_of_v<Error, ValueError>));
  EXPECT_TRUE((std::is_base_of_v<Error, OutOfMemory>));
  EXPECT_TRUE((std::is_base_of_v<Error, FileError>));
  EXPECT_TRUE((std::is_base_of_v<TapeError, NotDifferentiable>));
  EXPECT_TRUE((std::is_base_of_v<std::runtime_error, Error>));
}

TEST(DTypes, SizesAndNames) {
  EXPECT_EQ(size_of(float32), 4);
  EXPECT_EQ(size_of(float64), 8);
  EXPECT_EQ(size_of(uint8), 1);
  EXPECT_EQ(size_of(int64), 8);
  EXPECT_STREQ(to_string(float32), "float32");
  EXPECT_STREQ(to_string(float64), "float64");
  EXPECT_STREQ(to_string(uint8), "uint8");
  EXPECT_STREQ(to_string(int64), "int64");
}

TEST(DTypes, DispatchCallsWithTheElementType) {
  const auto element_type = []<class T>() { return dtype_of<T>(); };
  for (DType dtype : {float32, float64, uint8, int64}) {
    EXPECT_EQ(dispatch_all(dtype, element_type), dtype);
  }
  EXPECT_EQ(dispatch_floating(float32, element_type), float32);
  EXPECT_EQ(dispatch_floating(float64, element_type), float64);
}

TEST(DTypes, DispatchFloatingRefusesIntegers) {
  const auto nothing = []<class T>() {};
  expect_throws<DTypeError>([&] { dispatch_floating(int64, nothing); }, {"int64", "float32"});
  expect_throws<DTypeError>([&] { dispatch_floating(uint8, nothing); }, {"uint8", "float64"});
}

TEST(Operands, KeepTheCallersLine) {
  const Tensor tensor = Tensor::zeros({2});
  const Parameter parameter(Tensor::zeros({2}));
  const int line = __LINE__ + 1;
  const Operand from_tensor = tensor;
  const Operand from_parameter = parameter;
  EXPECT_EQ(from_tensor.site().to_string(), "error_test.cpp:" + std::to_string(line));
  EXPECT_EQ(from_parameter.site().to_string(), "error_test.cpp:" + std::to_string(line + 1));
  EXPECT_EQ(from_tensor.parameter(), nullptr);
  EXPECT_EQ(from_parameter.parameter(), parameter.state());
}

TEST(Operands, ChecksNameOpFoundWantedAndPlace) {
  const Operand matrix(Tensor::zeros({2, 3}));
  const Operand labels(Tensor::zeros({2}, int64));
  expect_throws<Error>([] { check_defined("op", Tensor()); }, {"[op]", "undefined", "error_test"});
  expect_throws<Error>([] { check_floating("op", Tensor()); }, {"[op]", "undefined"});
  expect_throws<DTypeError>([&] { check_floating("op", labels); },
                            {"[op] dtype: got int64, wanted float32 or float64", "error_test.cpp"});
  expect_throws<ShapeError>([&] { check_rank("op", matrix, 4, "(N, C, H, W)"); },
                            {"[op] shape: got (2, 3), wanted (N, C, H, W)", "error_test.cpp"});
  expect_throws<DTypeError>([&] { check_same_kind("op", matrix, labels); },
                            {"[op] dtypes", "float32", "int64", "error_test.cpp"});
  EXPECT_NO_THROW(check_rank("op", matrix, 2, "(N, C)"));
  EXPECT_NO_THROW(check_same_kind("op", matrix, matrix));
}

}  // namespace
}  // namespace warptape
