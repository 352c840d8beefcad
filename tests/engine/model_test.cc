// Random histories against a reference. The reference is two maps and plain
// loops; after every step both must give the same answers, with ==. A failure
// prints the seed: rerun one history with QUARRY_SEED=<seed>.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <tuple>

#include "tests/engine/test_clock.h"
#include "tests/engine/test_store.h"

namespace quarry {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace)

constexpr std::uint64_t kIds = 60;  // few, so that replacing and deleting happen often
constexpr int kSteps = 150;

// Two collections of one store, so that batches can span them.
constexpr const char* kNames[2] = {"first", "second"};

class ModelTest : public testing::TestWithParam<std::tuple<IdType, Level>> {
 protected:
  ModelTest() {
    const char* const given = std::getenv("QUARRY_SEED");
    seed_ = given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    rng_.seed(seed_);
    for (int c = 0; c < 2; ++c) {
      store_.Create(kNames[c], {.dim = dims_[c],
                                .level = std::get<1>(GetParam()),
                                .metric = Metric::kCosine,
                                .id_type = std::get<0>(GetParam()),
                                .zero_vectors = ZeroVectors::kAllow,
                                .fields = {{"n", FieldType::kInt}}});
    }
  }

  OpenOptions Options() const {
    OpenOptions options = clock_.Options();
    options.background = true;
    options.slab_bytes = 1u << 20;
    options.threads = 2;
    return options;
  }

  unsigned Below(unsigned n) { return static_cast<unsigned>(rng_() % n); }

  Id RandomId() {
    const std::uint64_t number = Below(kIds);
    if (std::get<0>(GetParam()) == IdType::kU64) return Id(number * number);
    return Id(std::string(number % 3, 'x') + std::to_string(number));
  }

  // Half of them of small whole numbers, which often tie; sometimes zero.
  std::vector<float> RandomVector(int c) {
    std::vector<float> v(dims_[c]);
    const bool whole = Below(2) == 0;
    std::normal_distribution<float> normal;
    for (float& x : v) x = whole ? static_cast<float>(Below(5)) - 2 : normal(rng_);
    if (Below(30) == 0) std::fill(v.begin(), v.end(), 0.0f);
    return v;
  }

  // Never, long ago, now, within some steps, or far away.
  std::int64_t RandomExpiry() {
    switch (Below(8)) {
      case 0:
      case 1:
        return 0;
      case 2:
        return 1;
      case 3:
        return clock_.now();
      case 4:
        return clock_.now() + (std::int64_t{1} << 40);
      default:
        return clock_.now() + 1 + Below(20);
    }
  }

  // Lets time pass, and what has expired by then go.
  void Advance() {
    clock_.Advance(Below(3));
    for (Reference& reference : reference_) reference.Expire(clock_.now());
  }

  std::string RandomMetadata() {
    switch (Below(4)) {
      case 0:
        return "";
      case 1:
        return "{}";
      default:
        return R"({"n":)" + std::to_string(Below(100)) + R"(,"text":"t)" +
               std::to_string(Below(10)) + "\"}";
    }
  }

  // One operation on one collection: owns what a batch borrows.
  struct Operation {
    Batch::Operation::Kind kind = Batch::Operation::Kind::kUpsert;
    int collection = 0;
    std::vector<Id> ids;
    std::vector<float> flat;  // empty: without vectors
    std::vector<std::string> metadata;
    std::vector<std::string_view> views;
    std::vector<std::int64_t> expiries;  // or empty
  };

  // Ids that are not in `used` yet, which they join.
  std::vector<Id> RandomIds(std::size_t n, std::set<Id>& used) {
    std::vector<Id> ids;
    for (std::size_t i = 0; i < n; ++i) {
      const Id id = RandomId();
      if (used.insert(id).second) ids.push_back(id);
    }
    return ids;
  }

  Operation RandomOperation(int c, std::set<Id>& used) {
    using Kind = Batch::Operation::Kind;
    constexpr Kind kKinds[] = {Kind::kUpsert, Kind::kUpsert,         Kind::kUpsert,
                               Kind::kInsert, Kind::kUpdateMetadata, Kind::kSetExpiry,
                               Kind::kDelete};
    Operation op;
    op.kind = kKinds[Below(7)];
    op.collection = c;
    // Sometimes many, so that slabs fill up.
    op.ids = RandomIds(Below(12) == 0 ? 50 : 1 + Below(5), used);
    const bool adds = op.kind == Kind::kUpsert || op.kind == Kind::kInsert;
    const bool vectors = adds && Below(5) != 0;
    for (std::size_t i = 0; i < op.ids.size(); ++i) {
      if (vectors) {
        const std::vector<float> vector = RandomVector(c);
        op.flat.insert(op.flat.end(), vector.begin(), vector.end());
      }
      if (adds || op.kind == Kind::kUpdateMetadata) op.metadata.push_back(RandomMetadata());
    }
    if (op.kind == Kind::kSetExpiry || (adds && Below(3) == 0)) {
      for (std::size_t i = 0; i < op.ids.size(); ++i) op.expiries.push_back(RandomExpiry());
    }
    op.views.assign(op.metadata.begin(), op.metadata.end());
    return op;
  }

  // What the operation does to the reference; false: it must be refused.
  bool ApplyToReference(const Operation& op, Reference& reference) {
    using Kind = Batch::Operation::Kind;
    const std::size_t dim = dims_[op.collection];
    for (std::size_t i = 0; i < op.ids.size(); ++i) {
      const auto found = reference.records.find(op.ids[i]);
      const bool there = found != reference.records.end();
      if (op.kind == Kind::kInsert && there) return false;
      const bool updates = op.kind == Kind::kUpdateMetadata || op.kind == Kind::kSetExpiry;
      if (updates && !there) return false;
      if (op.kind == Kind::kDelete) {
        if (there) reference.records.erase(found);
        continue;
      }
      Reference::Entry& entry = reference.records[op.ids[i]];
      if (!updates) entry.expires_at_unix_ms = 0;
      if (!op.expiries.empty()) entry.expires_at_unix_ms = op.expiries[i];
      if (op.kind == Kind::kSetExpiry) continue;
      entry.metadata.reset();
      if (!op.metadata[i].empty()) entry.metadata = op.metadata[i];
      if (op.kind == Kind::kUpdateMetadata) continue;
      entry.vector.reset();
      if (!op.flat.empty()) {
        entry.vector = AsStored(std::get<1>(GetParam()), {op.flat.data() + i * dim, dim});
      }
    }
    reference.Expire(clock_.now());
    return true;
  }

  void AddTo(Batch& batch, const Operation& op) {
    using Kind = Batch::Operation::Kind;
    const Collection collection = store_.Get(kNames[op.collection]);
    Records records{
        .ids = op.ids, .vectors = {}, .metadata = op.views, .expires_at_unix_ms = op.expiries};
    if (!op.flat.empty()) {
      records.vectors = VectorView(op.flat.data(), op.ids.size(), dims_[op.collection]);
    }
    if (op.kind == Kind::kUpsert) batch.Upsert(collection, records);
    if (op.kind == Kind::kInsert) batch.Insert(collection, records);
    if (op.kind == Kind::kUpdateMetadata) batch.UpdateMetadata(collection, op.ids, op.views);
    if (op.kind == Kind::kSetExpiry) batch.SetExpiry(collection, op.ids, op.expiries);
    if (op.kind == Kind::kDelete) batch.Delete(collection, op.ids);
  }

  // A batch of up to four operations; one in eight is spoilt by a NaN.
  void Write() {
    std::vector<Operation> operations;
    std::set<Id> used[2];
    const unsigned n = 1 + Below(4);
    for (unsigned i = 0; i < n; ++i) {
      const int c = static_cast<int>(Below(2));
      operations.push_back(RandomOperation(c, used[c]));
    }
    bool valid = true;
    if (Below(8) == 0 && !operations.back().flat.empty()) {
      operations.back().flat.back() = std::numeric_limits<float>::quiet_NaN();
      valid = false;
    }
    Reference after[2] = {reference_[0], reference_[1]};
    for (const Operation& op : operations)
      valid = valid && ApplyToReference(op, after[op.collection]);
    Batch batch;
    for (const Operation& op : operations) AddTo(batch, op);
    const auto result = store_->Write(batch, {.sync = Below(4) == 0});
    ASSERT_EQ(result.ok(), valid) << result.status().ToString();
    if (!valid) return;
    for (int c = 0; c < 2; ++c) reference_[c] = std::move(after[c]);
  }

  void CheckSearch(int c) {
    const Collection collection = store_.Get(kNames[c]);
    std::vector<float> query = RandomVector(c);
    const auto metric = static_cast<Metric>(1 + Below(3));
    const std::size_t k = Below(4) == 0 ? 1000 : 1 + Below(10);
    ExpectSameHits(Search(collection, query, {.k = k, .metric = metric}),
                   reference_[c].Search(metric, query, k));
    std::set<Id> used;
    const std::vector<Id> chosen = RandomIds(Below(20), used);
    Reference restricted;
    for (const Id& id : chosen) {
      const auto found = reference_[c].records.find(id);
      if (found != reference_[c].records.end()) restricted.records.insert(*found);
    }
    ExpectSameHits(Search(collection, query, {.k = k, .metric = metric, .ids = chosen}),
                   restricted.Search(metric, query, k));
  }

  void CheckSame() {
    for (int c = 0; c < 2; ++c) {
      const Collection collection = store_.Get(kNames[c]);
      ASSERT_EQ(Count(collection), reference_[c].records.size());
      ASSERT_TRUE(Contents(collection) == reference_[c].records);
      CheckSearch(c);
    }
  }

  unsigned seed_ = 0;
  std::mt19937 rng_;
  // Rows wide enough that first slabs (256 KiB) fill up.
  const std::size_t dims_[2] = {257, 64};
  TestClock clock_;
  TestStore store_{Options()};
  Reference reference_[2];
};

INSTANTIATE_TEST_SUITE_P(All, ModelTest,
                         testing::Combine(testing::Values(IdType::kU64, IdType::kString),
                                          testing::Values(Level::kF32, Level::kF16, Level::kF8,
                                                          Level::kI8)),
                         [](const auto& p) {
                           return std::string(ToString(std::get<0>(p.param))) + "_" +
                                  std::string(ToString(std::get<1>(p.param)));
                         });

TEST_P(ModelTest, RandomHistoryEqualsTheReference) {
  std::cout << "QUARRY_SEED=" << seed_ << std::endl;
  for (int step = 0; step < kSteps && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step) + ", QUARRY_SEED=" + std::to_string(seed_));
    if (Below(15) == 0) store_.Reopen();
    if (Below(10) == 0) {
      EXPECT_OK(store_->RemoveExpired({.sync = false}));
    }
    if (Below(10) == 0) {
      const bool all = Below(2) == 0;
      ASSERT_OK(store_->Compact({.max_dead_share = all ? 0 : 0.2, .erase = Below(4) == 0}));
    }
    Advance();
    Write();
    CheckSame();
  }
}

}  // namespace
}  // namespace quarry
