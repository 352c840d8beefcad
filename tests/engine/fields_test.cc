// The entries of declared fields: what the catalog holds after all kinds of
// writes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "format/keys.h"
#include "storage/catalog.h"
#include "storage/directory.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::Each;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

// Positions of the declared fields.
constexpr std::uint32_t kYear = 0, kTitle = 1, kPrice = 2, kSold = 3;

class FieldsTest : public testing::Test {
 protected:
  // The entries that the catalog holds, read behind the store's back.
  std::set<std::string> Entries() {
    store_.Close();
    std::set<std::string> keys;
    {
      auto directory = Value(storage::Directory::Open(storage::Vfs::Posix(), store_.path(),
                                                      storage::Directory::Mode::kRead));
      storage::CatalogOptions options;
      options.read_only = true;
      const auto catalog = Value(storage::Catalog::Open(std::move(directory), options));
      EXPECT_OK(catalog->View()->Scan(storage::Family::kFields, "", "\xff",
                                      [&](std::string_view key, std::string_view value) {
                                        EXPECT_EQ(value, "");
                                        keys.emplace(key);
                                        return true;
                                      }));
    }
    store_.Open();
    books_ = store_.Get("books");
    return keys;
  }

  // The entry of a value. The collection is the store's first, number 1.
  template <class T>
  static std::string Entry(std::uint32_t field, const T& value, std::uint64_t row) {
    std::string ordered;
    format::AppendOrdered(ordered, value);
    return format::FieldKey(1, field, ordered, row);
  }
  static std::string Year(std::int64_t year, std::uint64_t row) { return Entry(kYear, year, row); }

  void Put(std::uint64_t id, std::string_view metadata) {
    ASSERT_OK(Upsert(books_, {Id(id)}, {{1, 2}}, {metadata}));
  }

  TestStore store_;
  Collection books_ = store_.Create("books", {.dim = 2,
                                              .metric = Metric::kDot,
                                              .fields = {{"year", FieldType::kInt},
                                                         {"title", FieldType::kString},
                                                         {"price", FieldType::kFloat},
                                                         {"sold", FieldType::kBool}}});
};

TEST_F(FieldsTest, UpsertAddsAnEntryForEachDeclaredFieldThatIsThere) {
  Put(7, R"({"year":1984,"title":"Orwell","price":9,"sold":true,"other":1})");
  EXPECT_THAT(Entries(),
              UnorderedElementsAre(Year(1984, 0), Entry(kTitle, std::string_view("Orwell"), 0),
                                   Entry(kPrice, 9.0, 0), Entry(kSold, true, 0)));
}

TEST_F(FieldsTest, AbsentAndNullFieldsHaveNoEntry) {
  Put(7, R"({"year":null})");
  Put(8, "{}");
  Put(9, "");
  EXPECT_THAT(Entries(), IsEmpty());
}

TEST_F(FieldsTest, RecordsWithoutVectorsHaveEntries) {
  ASSERT_OK(Upsert(books_, {Id(1)}, {}, {R"({"year":1})"}));
  EXPECT_THAT(Entries(), UnorderedElementsAre(Year(1, 0)));
}

TEST_F(FieldsTest, ReplacedRecordTakesItsEntriesAway) {
  Put(7, R"({"year":1984,"sold":true})");
  Put(8, R"({"year":1984})");
  Put(7, R"({"year":1985})");
  EXPECT_THAT(Entries(), UnorderedElementsAre(Year(1984, 1), Year(1985, 2)));
}

TEST_F(FieldsTest, ReplacedRecordWithoutMetadataLeavesNone) {
  Put(7, R"({"year":1984})");
  Put(7, "");
  EXPECT_THAT(Entries(), IsEmpty());
}

TEST_F(FieldsTest, UpdateExchangesEntriesUnderTheSameRow) {
  Put(7, R"({"year":1984,"price":1.5})");
  Put(8, R"({"year":1})");
  const std::vector<Id> ids = {Id(7)};
  const std::vector<std::string_view> metadata = {R"({"year":1984,"price":2.5})"};
  ASSERT_OK(books_.UpdateMetadata(ids, metadata));
  EXPECT_THAT(Entries(), UnorderedElementsAre(Year(1984, 0), Entry(kPrice, 2.5, 0), Year(1, 1)));
}

TEST_F(FieldsTest, UpdateToNothingTakesEntriesAway) {
  Put(7, R"({"year":1984})");
  const std::vector<Id> ids = {Id(7)};
  const std::vector<std::string_view> metadata = {""};
  ASSERT_OK(books_.UpdateMetadata(ids, metadata));
  EXPECT_THAT(Entries(), IsEmpty());
}

TEST_F(FieldsTest, DeleteTakesEntriesAway) {
  Put(7, R"({"year":1984})");
  Put(8, R"({"year":1985})");
  ASSERT_OK(Delete(books_, {Id(7)}));
  EXPECT_THAT(Entries(), UnorderedElementsAre(Year(1985, 1)));
}

TEST_F(FieldsTest, RefusedWriteLeavesNoEntry) {
  const std::vector<Id> ids = {Id(1), Id(2)};
  const std::vector<std::string_view> metadata = {R"({"year":1})", R"({"year":"x"})"};
  ASSERT_THAT(books_.Upsert({.ids = ids, .metadata = metadata}),
              Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(Entries(), IsEmpty());
}

TEST_F(FieldsTest, ANewCollectionHasNoEntryOfADroppedOneOfItsName) {
  Put(7, R"({"year":1984})");
  ASSERT_OK(store_->DropCollection("books"));
  store_.Create("books", {.dim = 2, .metric = Metric::kDot});
  EXPECT_THAT(Entries(), Each(StartsWith(format::CollectionBegin(1))));
}

TEST_F(FieldsTest, WholeNumbersFitFloatFields) {
  Put(7, R"({"price":-3})");
  EXPECT_THAT(Entries(), UnorderedElementsAre(Entry(kPrice, -3.0, 0)));
}

TEST_F(FieldsTest, EntriesOfEqualValuesDifferByRow) {
  Put(1, R"({"year":5})");
  Put(2, R"({"year":5})");
  EXPECT_THAT(Entries(), UnorderedElementsAre(Year(5, 0), Year(5, 1)));
}

}  // namespace
}  // namespace quarry
