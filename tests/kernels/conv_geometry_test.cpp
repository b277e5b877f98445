// The sizes of convolutions over one, two and three axes.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "kernels/conv2d/conv2d.h"
#include "kernels/geometry/conv_geometry.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using Options = std::vector<WindowOptions>;
constexpr AxisPadding same{.rule = AxisPadding::Rule::Same};
constexpr AxisPadding causal{.rule = AxisPadding::Rule::Causal};

ConvGeometry geometry_of(const Shape& x, const Shape& weight, const Options& options,
                         int64_t groups = 1) {
  return conv_geometry("conv", x, weight, options, groups);
}

TEST(ConvGeometry, OfALine) {
  const ConvGeometry g =
      geometry_of({2, 6, 10}, {4, 3, 3}, {{.stride = 2, .padding = {4, 1}, .dilation = 2}}, 2);
  EXPECT_EQ(g.rank, 1);
  const WindowAxis line{.size = 10,
                        .kernel = 3,
                        .stride = 2,
                        .padding_before = 4,
                        .padding_after = 1,
                        .dilation = 2,
                        .out = 6};
  EXPECT_EQ(g.axes[0], line);
  EXPECT_EQ(g.x_shape(), Shape({2, 6, 10}));
  EXPECT_EQ(g.filter_shape(), Shape({4, 3, 3}));
  EXPECT_EQ(g.y_shape(), Shape({2, 4, 6}));

  const ConvGeometry planar = g.as_planar();
  EXPECT_EQ(planar.rank, 2);
  EXPECT_EQ(planar.vertical(), WindowAxis{});
  EXPECT_EQ(planar.horizontal(), line);
  EXPECT_EQ(planar, geometry_of({2, 6, 1, 10}, {4, 3, 1, 3},
                                {{}, {.stride = 2, .padding = {4, 1}, .dilation = 2}}, 2));
}

TEST(ConvGeometry, OfAnImageIsPlanar) {
  const ConvGeometry g = geometry_of({1, 2, 5, 7}, {3, 2, 3, 1}, {{}, {}});
  EXPECT_EQ(g.as_planar(), g);
  EXPECT_EQ(g.taps(), 3);
  EXPECT_EQ(g.pixels(), 35);
  EXPECT_EQ(g.out_pixels(), 21);
}

TEST(ConvGeometry, OfAVolumeHasNoKernel) {
  const ConvGeometry g =
      geometry_of({2, 3, 4, 5, 6}, {7, 3, 2, 3, 1}, {{.padding = {1, 0}}, {}, {.stride = 4}});
  EXPECT_EQ(g.y_shape(), Shape({2, 7, 4, 3, 2}));
  EXPECT_EQ(g.x_shape(), Shape({2, 3, 4, 5, 6}));
  EXPECT_EQ(g.filter_shape(), Shape({7, 3, 2, 3, 1}));
  EXPECT_EQ(g.taps(), 6);
  EXPECT_EQ(g.pixels(), 120);
  EXPECT_EQ(g.out_pixels(), 24);
  expect_throws<ShapeError>([&] { g.as_planar(); },
                            {"[conv] spatial axes: got 3, wanted 1 or 2", "no kernel"});
  expect_throws<ShapeError>([&] { g.vertical(); }, {"got 3, wanted 2"});
  const ConvGeometry line = geometry_of({1, 1, 4}, {1, 1, 2}, {{}});
  expect_throws<ShapeError>([&] { line.horizontal(); }, {"got 1, wanted 2"});
}

TEST(ConvGeometry, SameGivesAWindowForEveryElement) {
  for (const int64_t kernel : {1, 2, 3, 4, 5}) {
    for (const int64_t dilation : {1, 2, 3}) {
      SCOPED_TRACE(fmt::format("kernel {}, dilation {}", kernel, dilation));
      const ConvGeometry g =
          geometry_of({1, 1, 6}, {1, 1, kernel}, {{.padding = same, .dilation = dilation}});
      EXPECT_EQ(g.axes[0].out, 6);
      const int64_t before = g.axes[0].padding_before;
      const int64_t after = g.axes[0].padding_after;
      EXPECT_EQ(before + after, dilation * (kernel - 1));
      EXPECT_TRUE(after == before || after == before + 1) << before << ", " << after;
    }
  }
}

// Causal: an output sees what came before it, and itself.
TEST(ConvGeometry, WindowsBeginInThePaddingBefore) {
  const ConvGeometry g = geometry_of({1, 1, 5}, {1, 1, 3}, {{.padding = {4, 0}, .dilation = 2}});
  EXPECT_EQ(g.axes[0].out, 5);
  for (int64_t window = 0; window < 5; ++window) {
    EXPECT_EQ(g.axes[0].element(window, 2), window);
    EXPECT_EQ(g.axes[0].element(window, 0), window - 4);
  }
  EXPECT_EQ(geometry_of({1, 1, 5}, {1, 1, 3}, {{.padding = causal, .dilation = 2}}), g);
}

TEST(ConvGeometry, CausalWindowsOfAStrideEndAtEveryFewElements) {
  const ConvGeometry g = geometry_of({1, 1, 8}, {1, 1, 3}, {{.stride = 3, .padding = causal}});
  EXPECT_EQ(g.axes[0].out, 3);
  for (int64_t window = 0; window < 3; ++window) {
    EXPECT_EQ(g.axes[0].element(window, 2), 3 * window);
  }
}

TEST(ConvGeometry, KnowsWhoAskedAndIsTheSameForAll) {
  const WindowOptions options[] = {{}};
  const ConvGeometry one = conv_geometry("one", Shape{1, 1, 5}, Shape{1, 1, 3}, options, 1);
  const ConvGeometry two = conv_geometry("two", Shape{1, 1, 5}, Shape{1, 1, 3}, options, 1);
  EXPECT_EQ(one, two);
  expect_throws<ShapeError>([&] { two.vertical(); }, {"[two] spatial axes"});
}

TEST(ConvGeometry, TellsWhereOneNumberServesBothSides) {
  const auto is_even = [](int64_t size, int64_t stride, const AxisPadding& padding) {
    return geometry_of({1, 1, size}, {1, 1, 3}, {{.stride = stride, .padding = padding}})
        .axes[0]
        .is_padded_evenly();
  };
  EXPECT_TRUE(is_even(8, 1, {1, 1}));
  EXPECT_FALSE(is_even(8, 1, {1, 0}));
  EXPECT_FALSE(is_even(8, 1, {0, 1}));
  EXPECT_TRUE(is_even(8, 2, {1, 0})) << "no window reaches the element behind";
  EXPECT_FALSE(is_even(9, 2, {1, 0}));
  EXPECT_FALSE(is_even(8, 2, {0, 1}));
}

TEST(ConvGeometry, DiffersInEveryField) {
  const ConvGeometry g = geometry_of({2, 4, 9, 9, 9}, {4, 4, 3, 3, 3}, {{}, {}, {}});
  const auto expect_other = [&](const auto& change) {
    ConvGeometry other = g;
    change(other);
    EXPECT_NE(other, g);
  };
  expect_other([](ConvGeometry& o) { ++o.batch; });
  expect_other([](ConvGeometry& o) { ++o.in_channels; });
  expect_other([](ConvGeometry& o) { ++o.out_channels; });
  expect_other([](ConvGeometry& o) { ++o.groups; });
  expect_other([](ConvGeometry& o) { --o.rank; });
  for (size_t i = 0; i < 3; ++i) {
    for (int64_t WindowAxis::*field :
         {&WindowAxis::size, &WindowAxis::kernel, &WindowAxis::stride, &WindowAxis::padding_before,
          &WindowAxis::padding_after, &WindowAxis::dilation, &WindowAxis::out}) {
      expect_other([&](ConvGeometry& o) { ++(o.axes[i].*field); });
    }
  }
}

TEST(ConvGeometry, ErrorsNameTheAxesOfTheirRank) {
  expect_throws<ShapeError>(
      [] {
        geometry_of({4, 5}, {1, 4, 3}, {{}});
      },
      {"[conv] shape: got (4, 5), wanted (N, C, L)"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 4, 5}, {1, 4, 3, 1}, {{}});
      },
      {"[conv] weight: got shape (1, 4, 3, 1), wanted (O, C / groups, k)"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 4, 5}, {1, 4, 0}, {{}});
      },
      {"[conv] kernel size: got (0,) in weight (1, 4, 0), wanted 1"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 4, 5}, {1, 4, 4}, {{.padding = {0, 1}, .dilation = 2}});
      },
      {"[conv] input length: got 5 with padding (0, 1), wanted at least 7 for kernel size 4"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 1, 2, 3, 4}, {1, 1, 3, 3, 3}, {{}, {}, {}});
      },
      {"[conv] input depth: got 2 with padding 0, wanted at least 3"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 1, 3, 2, 4}, {1, 1, 3, 3, 3}, {{}, {}, {}});
      },
      {"[conv] input height: got 2"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 1, 3, 3, 2}, {1, 1, 3, 3, 3}, {{}, {}, {}});
      },
      {"[conv] input width: got 2"});
  expect_throws<ValueError>(
      [] {
        geometry_of({1, 1, 3}, {1, 1, 3}, {{.stride = 0}});
      },
      {"[conv] stride: got (0,), wanted 1 or more"});
  expect_throws<ValueError>(
      [] {
        geometry_of({1, 1, 3}, {1, 1, 3}, {{.dilation = 0}});
      },
      {"[conv] dilation: got (0,), wanted 1 or more"});
  for (const AxisPadding padding : {AxisPadding{-1, 2}, AxisPadding{2, -1}}) {
    expect_throws<ValueError>(
        [&] {
          geometry_of({1, 1, 3}, {1, 1, 3}, {{.padding = padding}});
        },
        {fmt::format("[conv] padding: got (({}, {}),), wanted 0 or more", padding.before,
                     padding.after)});
  }
  expect_throws<ValueError>(
      [] {
        geometry_of({1, 1, 3, 3}, {1, 1, 1, 1}, {{}, {.stride = 2, .padding = same}});
      },
      {"[conv] stride: got (1, 2) with padding same, wanted 1"});
  expect_throws<ShapeError>([] { geometry_of({1, 1}, {1, 1}, {}); }, {"got 0, wanted 1 to 3"});
  expect_throws<ShapeError>(
      [] {
        geometry_of({1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}, Options(4));
      },
      {"got 4, wanted 1 to 3"});
}

TEST(Padding, IsPrintedPerSideWhereTheyDiffer) {
  EXPECT_EQ(Padding2d(1).to_string(), "(1, 1)");
  EXPECT_EQ(Padding2d(1, 2).to_string(), "(1, 2)");
  EXPECT_EQ(Padding2d(Pair(3, 4)).to_string(), "(3, 4)");
  EXPECT_EQ(Padding2d(Sides2d{.top = 1, .bottom = 1, .left = 2, .right = 2}), Padding2d(1, 2));
  EXPECT_EQ(Padding2d(Sides2d{.top = 1, .bottom = 2, .left = 3, .right = 4}).to_string(),
            "((1, 2), (3, 4))");
  EXPECT_EQ(Padding2d(Sides2d{.right = 1}).to_string(), "((0, 0), (0, 1))");
  EXPECT_EQ(Padding2d::same().to_string(), "same");
  EXPECT_EQ(Padding1d(3).to_string(), "(3,)");
  EXPECT_EQ(Padding1d(Sides1d{.left = 1}).to_string(), "((1, 0),)");
  EXPECT_EQ(Padding1d::same().to_string(), "same");
  EXPECT_EQ(Padding1d::causal().to_string(), "causal");
  const AxisPadding line[] = {{2, 2}};
  EXPECT_EQ(to_string(line), "(2,)");
}

// What callers may write.
TEST(Padding, IsANumberAPairSidesOrSame) {
  EXPECT_EQ(Conv2dOptions{.padding = 1}.padding, Padding2d(1, 1));
  EXPECT_EQ((Conv2dOptions{.padding = {1, 2}}.padding), Padding2d(1, 2));
  EXPECT_EQ(Conv2dOptions{.padding = Pair(1, 2)}.padding, Padding2d(1, 2));
  EXPECT_EQ(Conv2dOptions{}.padding, Padding2d(0));
  const Conv2dOptions sides{.padding = Sides2d{.top = 2, .left = 1}};
  EXPECT_EQ(sides.axes()[0].padding, (AxisPadding{2, 0}));
  EXPECT_EQ(sides.axes()[1].padding, (AxisPadding{1, 0}));
  EXPECT_EQ(Conv2dOptions{.padding = Padding2d::same()}.axes()[1].padding, same);
}

}  // namespace
}  // namespace warptape
