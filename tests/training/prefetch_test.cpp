#include "training/prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "tests/core/expect_throws.h"
#include "training/image_loader.h"

namespace warptape {
namespace {

int fails_at_two(int64_t i) {
  if (i == 2) {
    throw ValueError("[make] item 2");
  }
  return static_cast<int>(10 * i);
}

TEST(Prefetch, GivesItemsInOrderThenNothing) {
  for (int64_t ahead : {1, 2, 9}) {
    Prefetcher<int> prefetcher(ahead);
    EXPECT_FALSE(prefetcher.next());  // before a start
    for (int64_t count : {3, 0, 1}) {
      prefetcher.start(count, [](int64_t i) { return static_cast<int>(10 * i); });
      for (int64_t i = 0; i < count; ++i) {
        EXPECT_EQ(prefetcher.next(), std::optional<int>(10 * i));
      }
      EXPECT_FALSE(prefetcher.next());
      EXPECT_FALSE(prefetcher.next());
    }
  }
}

TEST(Prefetch, RethrowsBehindTheItemsThatWereMade) {
  Prefetcher<int> prefetcher(9);
  for (int round = 0; round < 2; ++round) {  // it can be started again
    prefetcher.start(5, fails_at_two);
    EXPECT_EQ(prefetcher.next(), std::optional<int>(0));
    EXPECT_EQ(prefetcher.next(), std::optional<int>(10));
    expect_throws<ValueError>([&] { prefetcher.next(); }, {"[make] item 2"});
    EXPECT_FALSE(prefetcher.next()) << "thrown once";
  }
  prefetcher.start(1, [](int64_t) -> int { throw std::runtime_error("no error of ours"); });
  EXPECT_THROW(prefetcher.next(), std::runtime_error);
}

TEST(Prefetch, AFailureOfAnEarlierStartIsForgotten) {
  Prefetcher<int> prefetcher(1);
  prefetcher.start(3, fails_at_two);
  prefetcher.start(1, [](int64_t) { return 7; });
  EXPECT_EQ(prefetcher.next(), std::optional<int>(7));
  EXPECT_FALSE(prefetcher.next());
  prefetcher.start(3, fails_at_two);  // and destroyed with a failure that nobody asked for
}

TEST(Prefetch, MakesNoMoreThanAskedAhead) {
  std::atomic<int> made{0};
  Prefetcher<int> prefetcher(2);
  prefetcher.start(100, [&](int64_t) { return ++made; });
  ASSERT_TRUE(prefetcher.next());
  ASSERT_TRUE(prefetcher.next());
  EXPECT_LE(made, 2 + 2 + 1);  // taken, waiting, in the making
  prefetcher.stop();
  EXPECT_FALSE(prefetcher.next());
}

TEST(Prefetch, LoadersPassOnWhatTheirThreadThrew) {
  const ImageSet set{Tensor::zeros({3, 1, 4, 4}, uint8), Tensor::zeros({3}, int64)};
  ImageLoader loader(set, {0, 1, 2}, {.image_size = 0}, {.batch_size = 1});
  for (uint64_t epoch : {1, 2}) {
    loader.start(epoch);
    expect_throws<ValueError>([&] { loader.next(); }, {"[image_batch]"});
  }
}

}  // namespace
}  // namespace warptape
