// Records with an expiry: there until it comes, gone from then on, removed later.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "format/plane.h"
#include "quarry/verify.h"
#include "tests/engine/log_lines.h"
#include "tests/engine/test_clock.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)
using testing::ElementsAre;
using testing::IsEmpty;

using Times = std::vector<std::int64_t>;
constexpr std::int64_t kNever = 0;

class ExpiryTest : public testing::Test {
 protected:
  // Vectors (1, i) for ids first .. first + n - 1.
  Result<WriteResult> Add(std::uint64_t first, const Times& expiries,
                          std::vector<std::string_view> metadata = {}) {
    return Put(&Collection::Upsert, first, expiries, std::move(metadata));
  }
  Result<WriteResult> Insert(std::uint64_t first, const Times& expiries) {
    return Put(&Collection::Insert, first, expiries, {});
  }
  Result<WriteResult> SetExpiry(const std::vector<Id>& ids, const Times& expiries) {
    return c_.SetExpiry(ids, expiries, {.sync = false});
  }

  std::vector<Id> Searched(const SearchOptions& options = {}) {
    return IdsOf(Search(c_, {1, 0}, options));
  }
  std::vector<Id> Scrolled(ScrollOptions::Order order, std::size_t page = 1000) {
    std::vector<Id> ids;
    ScrollOptions options{.order = order, .limit = page};
    while (true) {
      const std::vector<Record> records = Value(c_.Scroll(options));
      for (const Record& record : records) ids.push_back(record.id);
      if (records.size() < page) return ids;
      if (order == ScrollOptions::Order::kId) options.after_id = records.back().id;
      if (order == ScrollOptions::Order::kRow) options.after_row = records.back().row;
    }
  }
  std::uint64_t Expired() { return Value(c_.Info()).expired; }

  TestClock clock_;
  TestStore store_{clock_.Options()};
  Collection c_ =
      store_.Create("c", {.dim = 2, .metric = Metric::kL2, .fields = {{"n", FieldType::kInt}}});

 private:
  using Write = Result<WriteResult> (Collection::*)(const Records&, const WriteOptions&);
  Result<WriteResult> Put(Write write, std::uint64_t first, const Times& expiries,
                          std::vector<std::string_view> metadata) {
    const std::vector<Id> ids = Numbers(first, expiries.size());
    std::vector<float> flat;
    for (const Id& id : ids) flat.insert(flat.end(), {1, static_cast<float>(id.number())});
    const Records records{.ids = ids,
                          .vectors = {flat.data(), ids.size(), 2},
                          .metadata = metadata,
                          .expires_at_unix_ms = expiries};
    return (c_.*write)(records, {.sync = false});
  }
};

TEST_F(ExpiryTest, RecordsAreThereBeforeTheirTimeAndGoneWhenItComes) {
  ASSERT_OK(Add(0, {kNever, clock_.now() + 10, kNever, clock_.now() + 11}));
  clock_.Advance(9);
  EXPECT_EQ(Count(c_), 4u);
  EXPECT_THAT(Searched(), ElementsAre(0, 1, 2, 3));
  clock_.Advance(1);
  EXPECT_EQ(Count(c_), 3u);
  EXPECT_THAT(Searched(), ElementsAre(0, 2, 3));
  EXPECT_THAT(Searched({.k = 2}), ElementsAre(0, 2));
  EXPECT_THAT(Scrolled(ScrollOptions::Order::kId), ElementsAre(0, 2, 3));
  EXPECT_THAT(Scrolled(ScrollOptions::Order::kRow), ElementsAre(0, 2, 3));
  EXPECT_EQ(Find(c_, 1), std::nullopt);
  EXPECT_THAT(Value(c_.Contains(Numbers(0, 4))), ElementsAre(true, false, true, true));
  const std::vector<Id> chosen = {1, 3};
  EXPECT_THAT(Searched({.ids = std::span<const Id>(chosen)}), ElementsAre(3));
  clock_.Advance(1);
  EXPECT_THAT(Searched(), ElementsAre(0, 2));
}

TEST_F(ExpiryTest, ReadsReturnTheExpiry) {
  ASSERT_OK(Add(0, {kNever, clock_.now() + 10}));
  EXPECT_EQ(Find(c_, 0)->expires_at_unix_ms, 0);
  EXPECT_EQ(Find(c_, 1)->expires_at_unix_ms, clock_.now() + 10);
  EXPECT_EQ(Value(c_.Scroll())[1].expires_at_unix_ms, clock_.now() + 10);
}

TEST_F(ExpiryTest, PagesAreFilledFromBehindWhatHasExpired) {
  Times expiries(100, kNever);
  for (std::size_t i = 0; i < 100; ++i) {
    if (i % 10 != 7) expiries[i] = 1;
  }
  ASSERT_OK(Add(0, expiries));
  const std::vector<Id> want = {7, 17, 27, 37, 47, 57, 67, 77, 87, 97};
  for (const std::size_t page : {1u, 3u, 10u, 11u}) {
    EXPECT_EQ(Scrolled(ScrollOptions::Order::kId, page), want) << page;
    EXPECT_EQ(Scrolled(ScrollOptions::Order::kRow, page), want) << page;
  }
}

TEST_F(ExpiryTest, ATimeInThePastIsTakenAndTheRecordIsNeverSeen) {
  const WriteResult written = Value(Add(5, {1}));
  EXPECT_EQ(written.inserted, 1u);
  EXPECT_EQ(Count(c_), 0u);
  EXPECT_EQ(Find(c_, 5), std::nullopt);
  EXPECT_EQ(Expired(), 1u);
}

TEST_F(ExpiryTest, AnExpiredIdIsInsertedAnew) {
  ASSERT_OK(Add(0, {clock_.now() + 10, clock_.now() + 10}));
  EXPECT_THAT(Insert(0, {kNever}), Fails(StatusCode::kAlreadyExists));
  clock_.Advance(10);
  const WriteResult inserted = Value(Insert(0, {kNever}));
  EXPECT_EQ(inserted.inserted, 1u);
  EXPECT_EQ(inserted.replaced, 0u);
  const WriteResult upserted = Value(Add(1, {kNever}));
  EXPECT_EQ(upserted.inserted, 1u);
  EXPECT_EQ(upserted.replaced, 0u);
  EXPECT_THAT(Searched(), ElementsAre(0, 1));
  EXPECT_EQ(Expired(), 0u);
}

TEST_F(ExpiryTest, UpsertWithoutExpiryClearsIt) {
  ASSERT_OK(Add(0, {clock_.now() + 10}));
  EXPECT_EQ(Value(Upsert(c_, {0}, {{1, 0}})).replaced, 1u);
  clock_.Advance(10);
  EXPECT_THAT(Searched(), ElementsAre(0));
  EXPECT_EQ(Value(c_.Info()).expiring, 0u);
}

TEST_F(ExpiryTest, MetadataUpdatesKeepTheExpiry) {
  ASSERT_OK(Add(0, {clock_.now() + 10}, {R"({"n":1})"}));
  const std::vector<Id> ids = {0};
  const std::vector<std::string_view> metadata = {R"({"n":2})"};
  ASSERT_OK(c_.UpdateMetadata(ids, metadata, {.sync = false}));
  EXPECT_EQ(Find(c_, 0)->expires_at_unix_ms, clock_.now() + 10);
  clock_.Advance(10);
  EXPECT_EQ(Count(c_), 0u);
  EXPECT_THAT(c_.UpdateMetadata(ids, metadata, {.sync = false}), Fails(StatusCode::kNotFound));
}

TEST_F(ExpiryTest, SetExpiryChangesItAlone) {
  ASSERT_OK(Add(0, {kNever, clock_.now() + 10, clock_.now() + 10}, {R"({"n":1})", "", ""}));
  const Record before = *Find(c_, 0);
  EXPECT_EQ(Value(SetExpiry({0, 1, 2}, {clock_.now() + 5, clock_.now() + 20, kNever})).updated, 3u);
  EXPECT_EQ(Find(c_, 0)->row, before.row);
  EXPECT_EQ(Find(c_, 0)->metadata, before.metadata);
  clock_.Advance(5);
  EXPECT_THAT(Searched(), ElementsAre(1, 2));
  clock_.Advance(15);
  EXPECT_THAT(Searched(), ElementsAre(2));
  EXPECT_EQ(Value(c_.Info()).expiring, 2u);
  // The last, whom nothing ends any more.
  EXPECT_THAT(SetExpiry({1}, {kNever}), Fails(StatusCode::kNotFound));
  ASSERT_OK(SetExpiry({2}, {1}));
  EXPECT_EQ(Count(c_), 0u);
}

TEST_F(ExpiryTest, BadExpiriesAreRefusedNamingTheRecord) {
  EXPECT_THAT(Add(0, {kNever, -1}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"record 1", "-1", "0 (never)"}));
  ASSERT_OK(Add(0, {kNever, std::numeric_limits<std::int64_t>::max()}));
  EXPECT_THAT(SetExpiry({0, 1}, {5}),
              FailsSaying(StatusCode::kInvalidArgument, Words{"1 expiries for 2 records"}));
  EXPECT_THAT(SetExpiry({0}, {}), Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(SetExpiry({0}, {-1}), Fails(StatusCode::kInvalidArgument));
  EXPECT_THAT(SetExpiry({9}, {5}), Fails(StatusCode::kNotFound));
  EXPECT_EQ(Count(c_), 2u);
}

TEST_F(ExpiryTest, DeleteRemovesWhatHasExpiredButDoesNotCountIt) {
  ASSERT_OK(Add(0, {1, kNever}));
  EXPECT_EQ(Value(Delete(c_, {0, 1})).deleted, 1u);
  EXPECT_EQ(Value(c_.Info()).records, 0u);
}

TEST_F(ExpiryTest, SnapshotsGoByTheClockOfTheRead) {
  ASSERT_OK(Add(0, {clock_.now() + 10, kNever}));
  const auto snapshot = Value(store_->GetSnapshot());
  ASSERT_OK(SetExpiry({0}, {kNever}));
  EXPECT_NE(Find(c_, 0, snapshot), std::nullopt);
  clock_.Advance(10);
  EXPECT_EQ(Find(c_, 0, snapshot), std::nullopt);
  EXPECT_EQ(Contents(c_, snapshot).size(), 1u);
  EXPECT_EQ(Count(c_), 2u);
}

TEST_F(ExpiryTest, RecordsWithoutVectorsExpireToo) {
  const std::vector<Id> ids = {3};
  const Times expiries = {clock_.now() + 1};
  ASSERT_OK(c_.Upsert({.ids = ids, .expires_at_unix_ms = expiries}, {.sync = false}));
  EXPECT_EQ(Count(c_), 1u);
  clock_.Advance(1);
  EXPECT_EQ(Count(c_), 0u);
  EXPECT_THAT(Searched(), IsEmpty());
  EXPECT_EQ(Value(store_->RemoveExpired()), 1u);
}

TEST_F(ExpiryTest, TiesForTheLastPlaceAreThoseOfWhatIsLeft) {
  std::vector<Id> ids = Numbers(0, 20);
  const std::vector<float> same(40, 1.0f);
  Times expiries(20, kNever);
  for (std::size_t i = 0; i < 20; i += 2) expiries[i] = clock_.now() + 1;
  ASSERT_OK(c_.Upsert({.ids = ids, .vectors = {same.data(), 20, 2}, .expires_at_unix_ms = expiries},
                      {.sync = false}));
  EXPECT_THAT(Searched({.k = 3}), ElementsAre(0, 1, 2));
  clock_.Advance(1);
  EXPECT_THAT(Searched({.k = 3}), ElementsAre(1, 3, 5));
  EXPECT_EQ(Searched({.k = 15}).size(), 10u);
}

TEST_F(ExpiryTest, RemoveExpiredRemovesWhatIsDueAndNothingElse) {
  Times expiries;
  for (int i = 0; i < 3000; ++i) expiries.push_back(i % 2 == 0 ? clock_.now() + i : kNever);
  ASSERT_OK(Add(0, expiries));
  EXPECT_EQ(Value(store_->RemoveExpired()), 1u);
  clock_.Advance(2499);
  EXPECT_EQ(Expired(), 1249u);
  const std::vector<Id> before = Searched({.k = 3000});
  EXPECT_EQ(Value(store_->RemoveExpired({.sync = false})), 1249u);
  EXPECT_EQ(Value(store_->RemoveExpired()), 0u);
  EXPECT_EQ(Searched({.k = 3000}), before);
  const CollectionInfo info = Value(c_.Info());
  EXPECT_EQ(info.records, 1750u);
  EXPECT_EQ(info.vectors, 1750u);
  EXPECT_EQ(info.dead_vectors, 1250u);
  EXPECT_EQ(info.expiring, 250u);
  EXPECT_EQ(info.expired, 0u);
  EXPECT_TRUE(Value(store_->Verify()).ok());
}

TEST_F(ExpiryTest, RemoveExpiredTakesAllCollectionsAndCommitsNothingWhenNothingIsDue) {
  Collection d = store_.Create("d", {.dim = 2, .id_type = IdType::kString});
  const std::vector<Id> ids = {Id("a"), Id("b")};
  const std::vector<float> flat = {1, 2, 3, 4};
  const Times expiries = {1, kNever};
  ASSERT_OK(d.Upsert({.ids = ids, .vectors = {flat.data(), 2, 2}, .expires_at_unix_ms = expiries},
                     {.sync = false}));
  ASSERT_OK(Add(0, {1, kNever}));
  const std::uint64_t before = Value(store_->Info()).sequence;
  EXPECT_EQ(Value(store_->RemoveExpired()), 2u);
  EXPECT_EQ(Value(store_->Info()).sequence, before + 1);
  EXPECT_EQ(Value(store_->RemoveExpired()), 0u);
  EXPECT_EQ(Value(store_->Info()).sequence, before + 1);
}

TEST_F(ExpiryTest, AnswersAreTheSameAfterReopening) {
  ASSERT_OK(Add(0, {clock_.now() + 10, kNever, 1, clock_.now() + 20}));
  store_.Reopen();
  c_ = store_.Get("c");
  EXPECT_THAT(Searched(), ElementsAre(0, 1, 3));
  EXPECT_EQ(Value(c_.Info()).expiring, 3u);
  clock_.Advance(10);
  EXPECT_THAT(Searched(), ElementsAre(1, 3));
  EXPECT_EQ(Value(store_->RemoveExpired()), 2u);
  store_.Reopen();
  c_ = store_.Get("c");
  EXPECT_THAT(Searched(), ElementsAre(1, 3));
  EXPECT_EQ(Value(c_.Info()).records, 2u);
}

TEST_F(ExpiryTest, ReadersOfPublishedStatesLeaveOutWhatHasExpired) {
  ASSERT_OK(Add(0, {clock_.now() + 10, kNever}));
  ASSERT_OK(store_->Publish());
  const auto reader = Value(Store::OpenPublished(store_.path(), clock_.Options()));
  const Collection published = Value(reader->GetCollection("c"));
  EXPECT_EQ(Count(published), 2u);
  clock_.Advance(10);
  EXPECT_EQ(Count(published), 1u);
  EXPECT_THAT(IdsOf(Search(published, {1, 0})), ElementsAre(1));
  EXPECT_THAT(reader->RemoveExpired(), Fails(StatusCode::kFailedPrecondition));
}

TEST_F(ExpiryTest, CheckpointsKeepExpiries) {
  TempDir directory;
  ASSERT_OK(Add(0, {clock_.now() + 10, 1, kNever}));
  ASSERT_OK(store_->Checkpoint(directory / "copy"));
  const auto copy = Value(Store::Open(directory / "copy", clock_.Options()));
  const Collection c = Value(copy->GetCollection("c"));
  EXPECT_EQ(Contents(c), Contents(c_));
  EXPECT_EQ(Value(c.Info()).expiring, 2u);
  EXPECT_EQ(Value(copy->RemoveExpired()), 1u);
}

TEST_F(ExpiryTest, RepairKeepsExpiriesAndWhatHasExpired) {
  ASSERT_OK(Add(0, {clock_.now() + 10, 1, kNever}));
  const auto before = Contents(c_);
  store_.Close();
  const std::string to = store_.path() + "-repaired";
  EXPECT_EQ(Value(RepairStore(store_.path(), to)).kept, 3u);
  EXPECT_TRUE(Value(VerifyStore(to)).ok());
  {
    const auto repaired = Value(Store::Open(to, clock_.Options()));
    const Collection c = Value(repaired->GetCollection("c"));
    EXPECT_EQ(Contents(c), before);
    EXPECT_EQ(Value(c.Info()).expired, 1u);
  }
  store_.Open();
}

// A record whose id is written again, or that gets another expiry, between the look for
// what is due and the removal stays: here it happens as often as the threads meet.
TEST_F(ExpiryTest, RemovalLeavesWhatIsRenewedMeanwhile) {
  constexpr std::uint64_t kIds = 200;
  std::atomic<bool> stop = false;
  std::thread remover([&] {
    while (!stop) EXPECT_OK(store_->RemoveExpired({.sync = false}));
  });
  std::thread searcher([&] {
    while (!stop) {
      for (const Hit& hit : Search(c_, {1, 0}, {.k = 1000})) EXPECT_EQ(hit.id.number() % 2, 0u);
    }
  });
  // Even ids never expire for longer than one write takes; odd ones are never there.
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t first = static_cast<std::uint64_t>(round) * 7 % kIds * 2;
    EXPECT_OK(Add(first, {kNever}));
    EXPECT_OK(Add(first + 1, {1}));
    EXPECT_NE(Find(c_, first), std::nullopt) << round;
    EXPECT_OK(SetExpiry({first}, {1}));
    EXPECT_OK(Add(first, {kNever}));
    EXPECT_NE(Find(c_, first), std::nullopt) << round;
  }
  stop = true;
  remover.join();
  searcher.join();
  EXPECT_OK(store_->RemoveExpired());
  EXPECT_EQ(Expired(), 0u);
  EXPECT_EQ(Count(c_), 200u);
  EXPECT_TRUE(Value(store_->Verify()).ok());
}

// Some searches must fail neither because of what has expired, nor count it.
TEST_F(ExpiryTest, DamagedRowsThatHaveExpiredAreNoDamageToASearch) {
  ASSERT_OK(Add(0, {clock_.now() + 10, clock_.now() + 10}));
  ASSERT_OK(store_->Sync());
  std::fstream file(store_.path() + "/slabs/1.base",
                    std::ios::binary | std::ios::in | std::ios::out);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  const auto header = format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size());
  ASSERT_OK(header);
  file.seekp(static_cast<std::streamoff>(header->layout().codes_offset));
  file.put('\1').flush();
  EXPECT_THAT(c_.Search(std::vector<float>{1, 0}, {.verify = true}),
              Fails(StatusCode::kCorruption));
  clock_.Advance(10);
  EXPECT_THAT(Searched({.verify = true}), IsEmpty());
}

TEST_F(ExpiryTest, OlderLibrariesRefuseStoresThatHadAnExpiry) {
  ASSERT_OK(Add(0, {kNever}));
  EXPECT_EQ(Value(store_->Info()).format_version, 1u);
  ASSERT_OK(Add(1, {1}));
  EXPECT_EQ(Value(store_->Info()).format_version, 2u);
  ASSERT_OK(store_->RemoveExpired());
  store_.Reopen();
  EXPECT_EQ(Value(store_->Info()).format_version, 2u);
}

TEST_F(ExpiryTest, ABackgroundThreadRemovesWhatIsDueAndSaysSo) {
  ASSERT_OK(Add(0, {1, kNever, 1, clock_.now() + 100'000'000}));
  LogLines log;
  OpenOptions options = clock_.Options();
  options.background = true;
  options.log = log.Sink();
  store_.Reopen(options);  // from the run before
  c_ = store_.Get("c");
  EXPECT_TRUE(log.WaitFor("2 expired records were removed")) << log.text();
  EXPECT_EQ(Value(c_.Info()).records, 2u);
  ASSERT_OK(Add(7, {1}));  // a second later, though the next is due tomorrow
  EXPECT_TRUE(log.WaitFor("1 expired records were removed")) << log.text();
  EXPECT_EQ(Value(c_.Info()).records, 2u);
  store_.Close();
}

}  // namespace
}  // namespace quarry
