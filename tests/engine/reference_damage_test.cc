// What the catalog says is checked against itself and against the slabs: each kind of
// contradiction is named.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/tombstones.h"
#include "format/catalog_values.h"
#include "format/keys.h"
#include "quarry/verify.h"
#include "storage/catalog.h"
#include "storage/directory.h"
#include "tests/engine/damage_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using storage::CatalogBatch;
using storage::Family;
using testing::Contains;
using testing::HasSubstr;

class ReferenceDamageTest : public testing::Test {
 protected:
  static constexpr std::int64_t kFarAway = std::int64_t{1} << 50;

  ReferenceDamageTest() {
    auto c = store_.Create("c", {.dim = 4, .fields = {{"n", FieldType::kInt}}});
    const std::vector<std::string_view> metadata(8, R"({"n":5})");
    std::mt19937 rng(1);
    EXPECT_OK(Upsert(c, Numbers(0, 8), RandomVectors(rng, 8, 4), metadata));
    EXPECT_OK(Delete(c, {2}));
    const std::vector<Id> expiring = {5, 6};
    const std::vector<std::int64_t> expiries = {kFarAway, kFarAway};
    EXPECT_OK(c.SetExpiry(expiring, expiries));
    store_.Close();
  }

  // Commits a change behind the store's back and verifies, fully and quickly. Checksums
  // are for a full look: what they find must be expected.
  std::vector<std::string> VerifyAfter(
      const std::function<void(CatalogBatch&, const storage::CatalogView&)>& change,
      bool checksums_differ = false) {
    {
      auto directory = Value(storage::Directory::Open(storage::Vfs::Posix(), store_.path(),
                                                      storage::Directory::Mode::kWrite));
      const auto catalog = Value(storage::Catalog::Open(directory, {}));
      CatalogBatch batch = catalog->NewBatch();
      change(batch, *catalog->View());
      EXPECT_OK(catalog->Commit(std::move(batch), true));
    }
    std::vector<std::string> texts;
    for (const bool quick : {false, true}) {
      const VerifyReport report = Value(VerifyStore(store_.path(), {.quick = quick}));
      std::vector<std::string> found;
      for (const Damage& damage : report.damages) found.push_back(damage.text);
      if (quick && !checksums_differ) {
        EXPECT_EQ(found, texts);
      }
      texts = found;
    }
    return texts;
  }

  // The same for a change of what the collection's state says.
  std::vector<std::string> VerifyAfterState(
      const std::function<void(format::CollectionState&)>& change) {
    return VerifyAfter([&](auto& batch, auto& view) {
      format::CollectionState state = StateOf(view);
      change(state);
      batch.Put(Family::kDefault, format::CollectionStateKey(1), format::Encode(state));
    });
  }

  static std::string IdKey(std::uint64_t id) { return format::IdKey(1, format::IdBytes(id)); }
  static format::RowRecord RecordOf(const storage::CatalogView& view, std::uint64_t row) {
    return Value(format::DecodeRowRecord(*Value(view.Get(Family::kRows, format::RowKey(1, row)))));
  }
  static std::string FieldKey(std::int64_t value, std::uint64_t row) {
    std::string ordered;
    format::AppendOrdered(ordered, value);
    return format::FieldKey(1, 0, ordered, row);
  }
  static format::CollectionState StateOf(const storage::CatalogView& view) {
    return Value(format::DecodeCollectionState(
        *Value(view.Get(Family::kDefault, format::CollectionStateKey(1)))));
  }

  TestStore store_;
};

TEST_F(ReferenceDamageTest, NothingIsWrongBefore) {
  EXPECT_THAT(VerifyAfter([](auto&, auto&) {}), testing::IsEmpty());
}

TEST_F(ReferenceDamageTest, RecordWithoutId) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) { batch.Delete(Family::kIds, IdKey(4)); }),
              Contains(HasSubstr("a record whose id leads nowhere")));
}

TEST_F(ReferenceDamageTest, IdOfAnotherRow) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) {
                batch.Put(Family::kIds, IdKey(4), format::EncodeRow(5));
              }),
              Contains(HasSubstr("a record whose id leads to another row")));
}

TEST_F(ReferenceDamageTest, IdWithoutRecord) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) {
                batch.Put(Family::kIds, IdKey(77), format::EncodeRow(2));
              }),
              Contains(HasSubstr("an entry of ids that no record stands behind")));
}

TEST_F(ReferenceDamageTest, FieldWithoutEntry) {
  EXPECT_THAT(
      VerifyAfter([](auto& batch, auto&) { batch.Delete(Family::kFields, FieldKey(5, 4)); }),
      Contains(HasSubstr("a record with a field that has no entry")));
}

TEST_F(ReferenceDamageTest, EntryWithoutField) {
  EXPECT_THAT(
      VerifyAfter([](auto& batch, auto&) { batch.Put(Family::kFields, FieldKey(6, 4), ""); }),
      Contains(HasSubstr("an entry of fields that no record stands behind")));
}

TEST_F(ReferenceDamageTest, ExpiryWithoutEntry) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) {
                batch.Delete(Family::kFields, format::ExpiryKey(1, kFarAway, 6));
              }),
              Contains(HasSubstr("a record with an expiry that has no entry")));
}

TEST_F(ReferenceDamageTest, EntryOfAnExpiryThatTheRecordHasNot) {
  // Of another time, of a record that never expires, of none.
  for (const auto& [time, row] : {std::pair{kFarAway + 1, 6}, {kFarAway, 4}, {kFarAway, 2}}) {
    const std::string key = format::ExpiryKey(1, time, static_cast<std::uint64_t>(row));
    EXPECT_THAT(VerifyAfter([&](auto& batch, auto&) { batch.Put(Family::kFields, key, ""); }),
                Contains(HasSubstr("an entry of fields that no record stands behind")));
    EXPECT_THAT(VerifyAfter([&](auto& batch, auto&) { batch.Delete(Family::kFields, key); }),
                testing::IsEmpty());
  }
}

TEST_F(ReferenceDamageTest, CountOfExpiriesThatIsNotTrue) {
  EXPECT_THAT(VerifyAfterState([](auto& state) { state.expiring = 1; }),
              Contains(HasSubstr("there are 2 records with an expiry; the state says 1")));
}

TEST_F(ReferenceDamageTest, ExpiriesInAStoreThatOlderLibrariesWouldOpen) {
  EXPECT_THAT(
      VerifyAfter([](auto& batch, auto& view) {
        auto store =
            Value(format::DecodeStoreRecord(*Value(view.Get(Family::kDefault, format::kStoreKey))));
        store.format_version = 1;
        batch.Put(Family::kDefault, format::kStoreKey, format::Encode(store));
      }),
      Contains(HasSubstr("the store is of format 1")));
}

TEST_F(ReferenceDamageTest, VectorWithoutRecordOrTombstone) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) {
                batch.Delete(Family::kRows, format::RowKey(1, 4));
                batch.Delete(Family::kIds, IdKey(4));
                batch.Delete(Family::kFields, FieldKey(5, 4));
              }),
              Contains(HasSubstr("that have no record and are not marked as dead")));
}

TEST_F(ReferenceDamageTest, RecordOfADeadRow) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) {
                const std::vector<std::uint64_t> rows = {2, 4};
                batch.Put(Family::kTombstones, format::TombstoneKey(1, 0),
                          Value(engine::AddTombstones(std::nullopt, rows)));
              }),
              Contains(HasSubstr("a record of a row that is marked as dead")));
}

TEST_F(ReferenceDamageTest, RecordThatSaysItHasNoVector) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto& view) {
                format::RowRecord record = RecordOf(view, 4);
                record.has_vector = false;
                batch.Put(Family::kRows, format::RowKey(1, 4), format::Encode(record));
              }),
              Contains(HasSubstr("a record without a vector, whose row has one")));
}

TEST_F(ReferenceDamageTest, RecordWhoseRowIsInNoSlab) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto& view) {
                format::RowRecord record = RecordOf(view, 4);
                record.id = format::IdBytes(std::uint64_t{3});
                batch.Put(Family::kRows, format::RowKey(1, 9), format::Encode(record));
              }),
              Contains(HasSubstr("a record with a vector, whose row is in no slab")));
}

TEST_F(ReferenceDamageTest, CountsThatAreNotTrue) {
  const auto texts = VerifyAfterState([](auto& state) {
    --state.records;
    --state.vectors;
  });
  EXPECT_THAT(texts, Contains(HasSubstr("there are 7 records; the state says 6")));
  EXPECT_THAT(texts, Contains(HasSubstr("there are 7 live vectors; the state says 6")));
}

TEST_F(ReferenceDamageTest, NextIdThatWasUsed) {
  EXPECT_THAT(VerifyAfterState([](auto& state) { state.next_auto_id = 3; }),
              Contains(HasSubstr("not under the next that is assigned")));
}

TEST_F(ReferenceDamageTest, SlabThatHasSeenCommitsTheCatalogHasNot) {
  EXPECT_THAT(
      VerifyAfter(
          [](auto& batch, auto& view) {
            format::CollectionState state = StateOf(view);
            state.active_rows = 4;
            state.active_last_row = 3;
            batch.Put(Family::kDefault, format::CollectionStateKey(1), format::Encode(state));
            auto store = Value(
                format::DecodeStoreState(*Value(view.Get(Family::kDefault, format::kStateKey))));
            store.sequence = 0;
            batch.Put(Family::kDefault, format::kStateKey, format::Encode(store));
          },
          /*checksums_differ=*/true),
      Contains(HasSubstr("it has seen commit 2, the catalog only 0")));
}

TEST_F(ReferenceDamageTest, KeysOfNoCollection) {
  EXPECT_THAT(
      VerifyAfter([](auto& batch, auto&) { batch.Put(Family::kRows, format::RowKey(9, 1), "x"); }),
      Contains(HasSubstr("1 keys that belong to no collection")));
}

TEST_F(ReferenceDamageTest, ValueThatDoesNotMatchItsChecksum) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto& view) {
                std::string value = *Value(view.Get(Family::kRows, format::RowKey(1, 4)));
                value.back() ^= 1;
                batch.Put(Family::kRows, format::RowKey(1, 4), value);
              }),
              Contains(HasSubstr("does not match its checksum")));
}

TEST_F(ReferenceDamageTest, MissingManifest) {
  EXPECT_THAT(VerifyAfter([](auto& batch, auto&) {
                batch.Delete(Family::kDefault, format::ManifestKey(1));
              }),
              Contains(HasSubstr("there is no manifest")));
}

}  // namespace
}  // namespace quarry
