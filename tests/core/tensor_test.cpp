#include "core/tensor.h"

#include <climits>
#include <numeric>

#include "core/operand.h"
#include "core/primitives.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

constexpr int64_t huge = int64_t{1} << 32;

std::vector<float> counting(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

Tensor counting_channels_last(const Shape& shape) {
  return primitives::relayout(tensor(counting(shape.numel()), shape), MemoryFormat::ChannelsLast);
}

TEST(Tensors, UndefinedUnlessMade) {
  const Tensor undefined;
  EXPECT_FALSE(undefined.defined());
  EXPECT_EQ(undefined.version(), 0U);
  expect_throws<Error>([&] { undefined.data<float>(); }, {"undefined"});
}

TEST(Tensors, UndefinedOnesSaySoWhateverIsAsked) {
  Tensor x;
  const auto refused = [](const char* asked, const auto& ask) {
    SCOPED_TRACE(asked);
    expect_throws<Error>(ask, {asked, "undefined"});
  };
  refused("[item]", [&] { (void)x.item(); });
  refused("[shape]", [&] { (void)x.shape(); });
  refused("[rank]", [&] { (void)x.rank(); });
  refused("[size]", [&] { (void)x.size(0); });
  refused("[numel]", [&] { (void)x.numel(); });
  refused("[dtype]", [&] { (void)x.dtype(); });
  refused("[device]", [&] { (void)x.device(); });
  refused("[memory_format]", [&] { (void)x.memory_format(); });
  refused("[strides]", [&] { (void)x.strides(); });
  refused("[strides]", [&] { (void)x.stride(0); });
  refused("[bytes]", [&] { (void)x.bytes(); });
  refused("[data]", [&] { (void)x.data<float>(); });
  refused("[data]", [&] { (void)x.mutable_data<float>(); });
  refused("[data]", [&] { (void)x.raw_data(); });
  refused("[data]", [&] { (void)x.mutable_raw_data(); });
  refused("", [&] { (void)x.to_vector<float>(); });
  refused("", [&] { (void)Tensor::empty_like(x); });
  refused("", [&] { primitives::fill(x, 0); });
  refused("", [&] { primitives::copy(Tensor::ones({1}), x); });
  refused("", [&] { primitives::add(x, x); });
  refused("", [&] { (void)primitives::relayout(x, MemoryFormat::RowMajor); });
  refused("", [&] { (void)primitives::cast(x, float64); });
  refused("", [&] { (void)primitives::all_finite(x); });
  EXPECT_FALSE(x.detach().defined());
  EXPECT_EQ(to_string(x), "tensor(undefined)");
}

TEST(Tensors, DimensionsOutOfRangeAreErrors) {
  const Tensor x = Tensor::zeros({3, 4});
  for (const int dim : {2, -3, 5, -5, 8, INT_MAX, INT_MIN}) {
    expect_throws<ShapeError>([&] { (void)x.size(dim); }, {"-2 to 1", "(3, 4)"});
    expect_throws<ShapeError>([&] { (void)x.shape()[dim]; }, {"-2 to 1"});
    expect_throws<ShapeError>([&] { (void)x.stride(dim); }, {"-2 to 1"});
    expect_throws<ShapeError>([&] { (void)x.strides()[dim]; }, {"-2 to 1"});
    expect_throws<ShapeError>([&] { (void)Operand(x).size(dim); }, {"-2 to 1"});
  }
  EXPECT_EQ(x.stride(0), 4);
  EXPECT_EQ(x.stride(-1), 1);
  expect_throws<ShapeError>([] { (void)Tensor::zeros({}).size(0); }, {"scalar"});
  expect_throws<ShapeError>([] { (void)Tensor::zeros({}).size(-1); }, {"scalar"});
}

TEST(Tensors, KeepWhatAVectorHolds) {
  const std::vector<float> values = counting(24);
  const Tensor x = Tensor::from_vector(values, {2, 3, 4});
  EXPECT_EQ(x.dtype(), float32);
  EXPECT_EQ(x.shape(), Shape({2, 3, 4}));
  EXPECT_EQ(x.memory_format(), MemoryFormat::RowMajor);
  EXPECT_EQ(x.device(), cpu);
  EXPECT_EQ(x.bytes(), 96);
  EXPECT_EQ(x.to_vector<float>(), values);
}

TEST(Tensors, TakeTheirDtypeFromTheVector) {
  EXPECT_EQ(tensor<double>({1}, {1}).dtype(), float64);
  EXPECT_EQ(tensor<uint8_t>({1}, {1}).dtype(), uint8);
  EXPECT_EQ(tensor<int64_t>({-5}, {}).to_vector<int64_t>(), std::vector<int64_t>{-5});
}

TEST(Tensors, ReadOutInLogicalOrderWhateverTheFormat) {
  const Tensor images = counting_channels_last({2, 3, 4, 5});
  EXPECT_EQ(images.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(images.to_vector<float>(), counting(120));
  const Tensor sequences = counting_channels_last({2, 3, 4});
  EXPECT_EQ(sequences.to_vector<float>(), counting(24));
}

TEST(Tensors, DataIsInMemoryOrder) {
  const Tensor x = counting_channels_last({1, 2, 1, 3});
  const std::vector<float> in_memory(x.data<float>(), x.data<float>() + 6);
  EXPECT_EQ(in_memory, (std::vector<float>{0, 3, 1, 4, 2, 5}));
}

TEST(Tensors, FullFillsEveryElement) {
  EXPECT_EQ(Tensor::full({3}, 2.5, float64).to_vector<double>(), std::vector<double>(3, 2.5));
  EXPECT_EQ(Tensor::ones({2}, int64).to_vector<int64_t>(), std::vector<int64_t>(2, 1));
  EXPECT_EQ(Tensor::zeros({2}).to_vector<float>(), std::vector<float>(2, 0));
}

TEST(Tensors, EmptyLikeTakesShapeDtypeAndFormat) {
  const Tensor x = Tensor::empty({2, 3, 4, 5}, float64, cpu, MemoryFormat::ChannelsLast);
  const Tensor y = Tensor::empty_like(x);
  EXPECT_EQ(y.shape(), x.shape());
  EXPECT_EQ(y.dtype(), float64);
  EXPECT_EQ(y.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_FALSE(y.shares_storage_with(x));
}

TEST(Tensors, WithoutElementsAreDefined) {
  const Tensor x = Tensor::zeros({2, 0, 3});
  EXPECT_TRUE(x.defined());
  EXPECT_EQ(x.numel(), 0);
  EXPECT_TRUE(x.to_vector<float>().empty());
}

TEST(Tensors, SizesCountFromTheEndWhenNegative) {
  const Tensor x = Tensor::zeros({2, 3, 4});
  EXPECT_EQ(x.size(0), 2);
  EXPECT_EQ(x.size(-1), 4);
  EXPECT_EQ(x.size(-3), 2);
}

TEST(Tensors, ItemIsTheElementOfAnyDtype) {
  EXPECT_EQ(tensor<float>({1.5F}, {}).item(), 1.5);
  EXPECT_EQ(tensor<double>({0.1}, {1, 1}).item(), 0.1);
  EXPECT_EQ(tensor<int64_t>({-7}, {1}).item(), -7);
  EXPECT_EQ(tensor<uint8_t>({200}, {1}).item(), 200);
}

TEST(Tensors, ItemOfSeveralElementsNamesTheCallersLine) {
  const Tensor x = Tensor::zeros({2, 2});
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { (void)x.item(); },
                            {"[item]", "(2, 2)", "tensor_test.cpp:" + std::to_string(line)});
}

TEST(Tensors, CopiesShareTheStorage) {
  Tensor x = Tensor::zeros({2});
  EXPECT_TRUE(x.is_sole_owner());
  const Tensor y = x;
  EXPECT_FALSE(x.is_sole_owner());
  x.mutable_data<float>()[1] = 5;
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{0, 5}));
}

TEST(Tensors, SlicesShareStorageAndVersion) {
  const Tensor x = tensor(counting(6), {3, 2});
  Tensor part = x.slice(1, 3);
  EXPECT_EQ(part.shape(), Shape({2, 2}));
  EXPECT_EQ(part.to_vector<float>(), (std::vector<float>{2, 3, 4, 5}));
  EXPECT_TRUE(part.shares_storage_with(x));
  const uint64_t before = x.version();
  part.mutable_data<float>()[0] = -1;
  EXPECT_GT(x.version(), before);
  EXPECT_EQ(x.version(), part.version());
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{0, 1, -1, 3, 4, 5}));
  EXPECT_EQ(part.slice(1, 2).to_vector<float>(), (std::vector<float>{4, 5}));
}

TEST(Tensors, SlicesOfChannelsLastAreWholeImages) {
  const Tensor x = counting_channels_last({3, 2, 2, 2});
  const Tensor part = x.slice(1, 2);
  EXPECT_EQ(part.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(part.to_vector<float>(), (std::vector<float>{8, 9, 10, 11, 12, 13, 14, 15}));
}

TEST(Tensors, SlicesMayBeEmpty) {
  const Tensor x = tensor(counting(6), {3, 2});
  EXPECT_EQ(x.slice(3, 3).shape(), Shape({0, 2}));
  EXPECT_EQ(x.slice(3, 3).numel(), 0);
}

TEST(Tensors, SlicesOutsideDimensionZeroAreErrors) {
  const Tensor x = Tensor::zeros({3, 2});
  expect_throws<ShapeError>([&] { x.slice(1, 4); }, {"[slice]", "[1, 4)", "(3, 2)"});
  expect_throws<ShapeError>([&] { x.slice(-1, 2); }, {"[slice]", "[-1, 2)"});
  expect_throws<ShapeError>([&] { x.slice(2, 1); }, {"[slice]", "[2, 1)"});
  expect_throws<ShapeError>([] { Tensor::zeros({}).slice(0, 1); }, {"[slice]"});
}

TEST(Tensors, ViewsShareStorageAndVersion) {
  const Tensor x = tensor(counting(6), {3, 2});
  Tensor flat = x.view({6});
  EXPECT_TRUE(flat.shares_storage_with(x));
  flat.mutable_data<float>()[5] = 9;
  EXPECT_EQ(x.version(), flat.version());
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 4, 9}));
  EXPECT_EQ(x.slice(1, 3).view({4}).to_vector<float>(), (std::vector<float>{2, 3, 4, 9}));
}

TEST(Tensors, ViewsNeedTheSameCountAndAFormatThatAllowsThem) {
  expect_throws<ShapeError>([] { Tensor::zeros({3, 2}).view({5}); }, {"[view]", "(5,)", "(3, 2)"});
  expect_throws<ShapeError>(
      [] {
        counting_channels_last({1, 2, 2}).view({4});
      },
      {"[view] memory format", "channels_last"});
}

TEST(Tensors, ClonesAreIndependentAndKeepTheFormat) {
  const Tensor x = counting_channels_last({1, 2, 3, 1});
  Tensor copy = x.clone();
  EXPECT_EQ(copy.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_FALSE(copy.shares_storage_with(x));
  const uint64_t version = x.version();
  copy.mutable_data<float>()[0] = 77;
  EXPECT_EQ(x.version(), version);
  EXPECT_EQ(x.to_vector<float>(), counting(6));
}

TEST(Tensors, DetachSharesTheStorageAndForgetsTheTape) {
  Tensor x = Tensor::zeros({2});
  x.set_tape_handle({5, 3});
  const Tensor detached = x.detach();
  EXPECT_TRUE(detached.shares_storage_with(x));
  EXPECT_EQ(detached.tape_handle().tape, 0U);
  EXPECT_EQ(x.tape_handle().tape, 5U);
  EXPECT_EQ(x.slice(0, 1).tape_handle().tape, 0U);
  EXPECT_EQ(x.view({1, 2}).tape_handle().tape, 0U);
}

TEST(Tensors, WritingBumpsTheVersionAndReadingDoesNot) {
  Tensor x = Tensor::zeros({2});
  const uint64_t version = x.version();
  (void)x.data<float>();
  (void)x.to_vector<float>();
  (void)x.raw_data();
  EXPECT_EQ(x.version(), version);
  (void)x.mutable_data<float>();
  EXPECT_EQ(x.version(), version + 1);
  (void)x.mutable_raw_data();
  EXPECT_EQ(x.version(), version + 2);
}

TEST(Tensors, DataOfAnotherDtypeIsAnError) {
  Tensor x = Tensor::zeros({2});
  expect_throws<DTypeError>([&] { (void)x.data<double>(); }, {"float64", "float32"});
  expect_throws<DTypeError>([&] { (void)x.mutable_data<int64_t>(); }, {"int64", "float32"});
  expect_throws<DTypeError>([&] { (void)x.to_vector<uint8_t>(); }, {"uint8", "float32"});
}

TEST(Tensors, VectorsOfAnotherCountAreErrors) {
  expect_throws<ShapeError>([] { tensor(counting(5), {2, 3}); }, {"5", "6", "(2, 3)"});
  expect_throws<ShapeError>([] { tensor(counting(0), {}); }, {"got 0, wanted 1"});
}

TEST(Tensors, ShapesWhoseBytesOverflowAreErrors) {
  expect_throws<ShapeError>([] { Tensor::empty({huge, huge}); }, {"overflow", "4294967296"});
  expect_throws<ShapeError>([] { Tensor::empty({huge, huge / 4}, float64); }, {"overflow"});
}

TEST(Tensors, ShapesThatCannotBeCountedAreErrorsWithoutElementsToo) {
  constexpr int64_t wide = int64_t{1} << 40;
  expect_throws<ShapeError>([] { Tensor::empty({wide, wide}); }, {"overflow", "(1099511627776, "});
  expect_throws<ShapeError>([] { Tensor::empty({0, wide, wide}); }, {"overflow"});
  expect_throws<ShapeError>([] { Tensor::empty({INT64_MAX}); }, {"overflow"});
  expect_throws<ShapeError>([] { Tensor::empty({INT64_MAX, 0}); }, {"overflow"});
  Shape negative{2, 3};
  negative[1] = -3;
  expect_throws<ShapeError>([&] { Tensor::empty(negative); }, {"(2, -3)"});
  negative[0] = -2;  // whose product is positive
  expect_throws<ShapeError>([&] { Tensor::empty(negative); }, {"(-2, -3)"});
  expect_throws<ShapeError>([&] { Tensor::ones({6}).view(negative); }, {"(-2, -3)"});
}

TEST(Tensors, SlicesAtTheEndsOf64BitsAreErrors) {
  const Tensor x = Tensor::ones({3, 2});
  for (const int64_t end : {int64_t{-1}, int64_t{4}, INT64_MAX, INT64_MIN, INT64_MAX / 2}) {
    expect_throws<ShapeError>([&] { (void)x.slice(0, end); }, {"[slice]"});
    expect_throws<ShapeError>([&] { (void)x.slice(end, 3); }, {"[slice]"});
  }
}

TEST(Tensors, ShapesWhoseElementsOverflowAreErrorsForViewsAndVectorsToo) {
  EXPECT_THROW(Tensor::zeros({0}).view({huge, huge}), ShapeError);
  EXPECT_THROW(tensor(counting(0), {huge, huge}), ShapeError);
}

TEST(Tensors, OnADeviceThatIsNotThereAreErrors) {
  const Device second{DeviceType::CUDA, 1};
  expect_throws<DeviceError>([&] { Tensor::empty({1}, float32, second); }, {"cuda:1"});
  expect_throws<DeviceError>([&] { Tensor::ones({1}).to(second); }, {"cuda:1"});
  EXPECT_TRUE(Tensor::ones({1}).to(cpu).defined());
}

}  // namespace
}  // namespace warptape
