// Get, contains, count and scroll.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

using Row = std::vector<float>;
using Order = ScrollOptions::Order;

class ReadTest : public testing::Test {
 protected:
  // Rows 0..4 are ids 30, 10, 20, 40, 50; then 10 is replaced (row 5) and 40
  // deleted. 50 has no vector.
  ReadTest() {
    EXPECT_OK(Upsert(lake_, {Id(30), Id(10), Id(20), Id(40)}, {{1, 2}, {3, 4}, {5, 6}, {7, 8}},
                     {R"({"a":30})", "", "", ""}));
    EXPECT_OK(Upsert(lake_, {Id(50)}, {}, {R"({"a":50})"}));
    EXPECT_OK(Upsert(lake_, {Id(10)}, {{9, 9}}));
    EXPECT_OK(Delete(lake_, {Id(40)}));
  }

  // All pages of a scroll, in one list; their sizes go to `sizes`.
  std::vector<Id> Pages(Order order, std::size_t limit, std::vector<std::size_t>& sizes) {
    std::vector<Id> ids;
    ScrollOptions options{.order = order, .limit = limit};
    while (true) {
      const auto page = Value(lake_.Scroll(options));
      sizes.push_back(page.size());
      for (const Record& record : page) ids.push_back(record.id);
      if (page.size() < limit) return ids;
      if (order == Order::kId) options.after_id = page.back().id;
      if (order == Order::kRow) options.after_row = page.back().row;
    }
  }

  TestStore store_;
  Collection lake_ = store_.Create("lake", {.dim = 2, .metric = Metric::kDot});
};

TEST_F(ReadTest, GetAnswersInTheOrderOfTheIds) {
  const std::vector<Id> ids = {Id(50), Id(99), Id(10), Id(40), Id(10)};
  const auto records = Value(lake_.Get(ids));
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(records[0]->id, Id(50));
  EXPECT_EQ(records[1], std::nullopt);
  EXPECT_EQ(records[2]->row, 5u);
  EXPECT_EQ(records[3], std::nullopt);
  EXPECT_EQ(records[4]->id, Id(10));
}

TEST_F(ReadTest, GetReturnsOnlyWhatIsAskedFor) {
  const std::vector<Id> ids = {Id(30)};
  const auto plain = Value(lake_.Get(ids))[0];
  EXPECT_TRUE(plain->has_vector);
  EXPECT_EQ(plain->vector, std::nullopt);
  EXPECT_EQ(plain->metadata, std::nullopt);
  const auto full = Value(lake_.Get(ids, {.with = {.metadata = true, .vector = true}}))[0];
  EXPECT_EQ(full->vector, (Row{1, 2}));
  EXPECT_EQ(full->metadata, R"({"a":30})");
}

TEST_F(ReadTest, ContainsSaysWhichIdsAreThere) {
  const std::vector<Id> ids = {Id(10), Id(40), Id(50), Id(99)};
  EXPECT_THAT(Value(lake_.Contains(ids)), ElementsAre(true, false, true, false));
}

TEST_F(ReadTest, ReadsOfNoIdsAreEmpty) {
  EXPECT_THAT(Value(lake_.Get({})), IsEmpty());
  EXPECT_THAT(Value(lake_.Contains({})), IsEmpty());
}

TEST_F(ReadTest, CountCountsRecordsWithAndWithoutVectors) { EXPECT_EQ(Count(lake_), 4u); }

TEST_F(ReadTest, ScrollInOrderOfId) {
  EXPECT_THAT(IdsOf(Value(lake_.Scroll())), ElementsAre(Id(10), Id(20), Id(30), Id(50)));
}

TEST_F(ReadTest, ScrollInOrderOfRow) {
  const auto records = Value(lake_.Scroll({.order = Order::kRow}));
  EXPECT_THAT(IdsOf(records), ElementsAre(Id(30), Id(20), Id(50), Id(10)));
  EXPECT_EQ(records[3].row, 5u);
}

TEST_F(ReadTest, ScrollReturnsMetadataAndVectorWhenAsked) {
  const auto records = Value(lake_.Scroll({.with = {.metadata = true, .vector = true}}));
  EXPECT_EQ(records[2].metadata, R"({"a":30})");
  EXPECT_EQ(records[2].vector, (Row{1, 2}));
  EXPECT_EQ(records[3].vector, std::nullopt);
}

TEST_F(ReadTest, PagesContinueWhereTheLastOneEnded) {
  for (const std::size_t limit : {1u, 2u, 3u, 4u, 5u}) {
    std::vector<std::size_t> sizes;
    EXPECT_THAT(Pages(Order::kId, limit, sizes), ElementsAre(Id(10), Id(20), Id(30), Id(50)));
    EXPECT_THAT(Pages(Order::kRow, limit, sizes), ElementsAre(Id(30), Id(20), Id(50), Id(10)));
  }
}

TEST_F(ReadTest, PageShorterThanTheLimitIsTheLast) {
  std::vector<std::size_t> sizes;
  Pages(Order::kId, 3, sizes);
  EXPECT_THAT(sizes, ElementsAre(3u, 1u));
}

TEST_F(ReadTest, ContinuationNeedNotBeThere) {
  EXPECT_THAT(IdsOf(Value(lake_.Scroll({.after_id = Id(25)}))), ElementsAre(Id(30), Id(50)));
  EXPECT_THAT(IdsOf(Value(lake_.Scroll({.order = Order::kRow, .after_row = 3}))),
              ElementsAre(Id(50), Id(10)));
}

TEST_F(ReadTest, ScrollBehindTheLastIsEmpty) {
  EXPECT_THAT(Value(lake_.Scroll({.after_id = Id(50)})), IsEmpty());
  EXPECT_THAT(Value(lake_.Scroll({.order = Order::kRow, .after_row = 5})), IsEmpty());
}

TEST_F(ReadTest, ScrollKeepsToItsCollection) {
  Collection other = store_.Create("other", {.dim = 2, .metric = Metric::kDot});
  EXPECT_OK(Upsert(other, {Id(1)}, {{1, 1}}));
  EXPECT_EQ(Value(lake_.Scroll()).size(), 4u);
  EXPECT_THAT(IdsOf(Value(other.Scroll({.order = Order::kRow}))), ElementsAre(Id(1)));
}

TEST_F(ReadTest, StringIdsScrollBytewise) {
  Collection names =
      store_.Create("names", {.dim = 2, .metric = Metric::kDot, .id_type = IdType::kString});
  ASSERT_OK(Upsert(names, {"b", "a", std::string("a\0", 2), "ab", "\xc3\xa9"}, {}));
  std::vector<Id> ids;
  ScrollOptions options{.limit = 1};
  for (auto page = Value(names.Scroll(options)); !page.empty();
       page = Value(names.Scroll(options))) {
    ids.push_back(page[0].id);
    options.after_id = page[0].id;
  }
  EXPECT_THAT(ids,
              ElementsAre(Id("a"), Id(std::string("a\0", 2)), Id("ab"), Id("b"), Id("\xc3\xa9")));
}

}  // namespace
}  // namespace quarry
