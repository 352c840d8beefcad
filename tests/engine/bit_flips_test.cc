// Every bit of every file of a store matters, or provably does not: a flipped bit or a
// shortened file is named by verify, or the answers are those of the sound store. Nothing
// that looks at the damaged store crashes, and repair keeps what is sound.
//
// A run tries QUARRY_FLIPS bits and half as many lengths, spread over all files;
// QUARRY_FLIPS=all tries each bit.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/engine/damage_store.h"
#include "tests/random_seed.h"

namespace quarry {
namespace {

namespace fs = std::filesystem;

using namespace testing_support;  // NOLINT(google-build-using-namespace)

// Shards run side by side. Under sanitizers each case takes ten times as long.
#ifdef QUARRY_SANITIZED
constexpr int kShards = 4;
constexpr std::size_t kCases = 160;
#else
constexpr int kShards = 16;
constexpr std::size_t kCases = 2000;
#endif

class DamageTest : public testing::TestWithParam<int> {
 protected:
  static std::size_t Cases() {
    const char* const given = std::getenv("QUARRY_FLIPS");
    return (given == nullptr ? kCases : std::strtoul(given, nullptr, 10)) / kShards;
  }

  // Whether the i-th case is looked at in every way: all in a run of a given length.
  static bool IsThorough(std::size_t i) {
    return i % 8 == 0 || std::getenv("QUARRY_FLIPS") != nullptr;
  }

  std::set<std::string> AllIds() const {
    std::set<std::string> ids;
    for (const auto& [name, records] : store_.sound().records) {
      for (const auto& [id, entry] : records) ids.insert(name + "/" + id.ToString());
    }
    return ids;
  }

  // Whether answers are those of the sound store, as far as they are there.
  void ExpectSound(const Answers& answers) const { EXPECT_TRUE(answers == store_.sound()); }

  // Where commits are lost from the log, a state before them is whole.
  void ExpectEarlierState(const Answers& kept) const {
    const auto& earlier = store_.earlier();
    EXPECT_TRUE(kept == store_.sound() ||
                std::find(earlier.begin(), earlier.end(), kept) != earlier.end());
  }

  // What is kept is as it was, and what is not is listed.
  void ExpectRepairKeepsWhatIsSound() {
    const std::string to = store_.Other("repaired");
    const auto report = RepairStore(store_.path(), to);
    fs::remove_all(to + ".partial");
    if (!report.ok()) {
      EXPECT_EQ(report.status().code(), StatusCode::kCorruption) << report.status().ToString();
      return;
    }
    const Answers kept = Value(DamageStore::Read(to));
    const bool log = std::any_of(report->lost.begin(), report->lost.end(), [](const Damage& lost) {
      return lost.file.starts_with("catalog/");
    });
    if (log) return ExpectEarlierState(kept);
    std::set<std::string> missing = AllIds();
    std::uint64_t records = 0;
    for (const auto& [name, entries] : kept.records) {
      const auto& sound = store_.sound().records.at(name);
      for (const auto& [id, entry] : entries) {
        ++records;
        ASSERT_TRUE(sound.count(id) != 0 && sound.at(id) == entry) << name << " " << id.ToString();
        missing.erase(name + "/" + id.ToString());
      }
    }
    EXPECT_EQ(records, report->kept);
    bool catalog = false;  // is damaged: it may not know what it has lost
    for (const Damage& lost : report->lost) {
      catalog |= lost.file.starts_with("catalog");
      for (const Id& id : lost.ids) {
        EXPECT_EQ(missing.erase(lost.collection + "/" + id.ToString()), 1u)
            << Described(lost) << ": " << id.ToString() << " is kept or listed twice";
      }
    }
    EXPECT_TRUE(catalog || missing.empty()) << missing.size() << " lost silently";
    if (missing.empty() && report->lost.empty()) ExpectSound(kept);
  }

  // A copy is opened for writing: whatever comes of it, nothing crashes.
  void ExpectNoCrashOfWriting() {
    const std::string copy = store_.Other("copy");
    fs::copy(store_.path(), copy, fs::copy_options::recursive);
    const auto store = Store::Open(copy, DamageStore::Options());
    if (!store.ok()) return;
    auto wide = (*store)->GetCollection("wide");
    if (wide.ok()) {
      std::mt19937 rng(1);
      (void)Upsert(*wide, {"w1", "new"}, RandomVectors(rng, 2, DamageStore::kWideDim));
      (void)wide->Delete(std::vector<Id>{"w2"});
    }
    (void)DamageStore::ReadOpen(**store);
    (void)(*store)->Close();
  }

  // Writing and repairing, which take long, only if `thoroughly`.
  VerifyReport LookAtAll(bool thoroughly) {
    const auto report = VerifyStore(store_.path());
    const auto quick = VerifyStore(store_.path(), {.quick = true});
    EXPECT_OK(report);
    EXPECT_OK(quick);
    const auto answers = DamageStore::Read(store_.path());
    if (report.ok() && report->ok() && report->notes.empty()) {
      EXPECT_OK(answers);
      if (answers.ok()) ExpectSound(*answers);
    }
    if (thoroughly) ExpectNoCrashOfWriting();
    if (thoroughly) ExpectRepairKeepsWhatIsSound();
    return report.ok() ? *report : VerifyReport{};
  }

  void TryFlip(const std::string& name, std::size_t offset, unsigned bit, bool unused,
               bool thoroughly = true) {
    SCOPED_TRACE(name + " byte " + std::to_string(offset) + " bit " + std::to_string(bit));
    store_.Flip(name, offset, bit);
    const auto newer = VerifyStore(store_.path()).status();
    if (name == "FORMAT" && newer.code() == StatusCode::kNotSupported) {  // a larger number
      EXPECT_THAT(DamageStore::Read(store_.path()), Fails(StatusCode::kNotSupported));
    } else {
      const VerifyReport report = LookAtAll(thoroughly);
      EXPECT_EQ(report.ok(), unused) << Described(report);
    }
    store_.Restore(name);
  }

  DamageStore store_;
};

TEST_P(DamageTest, FlippedBitsAreFoundOrHarmless) {
  const char* const given = std::getenv("QUARRY_FLIPS");
  if (given != nullptr && std::string_view(given) == "all") {
    for (const auto& [name, bytes] : store_.files()) {
      const Unused unused = store_.UnusedOf(name);
      for (std::size_t bit = static_cast<std::size_t>(GetParam()); bit < bytes.size() * 8;
           bit += kShards) {
        TryFlip(name, bit / 8, bit % 8, unused[bit / 8]);
        if (HasFailure()) return;
      }
    }
    return;
  }
  std::mt19937 rng(RandomSeed());
  std::vector<std::string> names;
  for (const auto& [name, bytes] : store_.files()) names.push_back(name);
  for (std::size_t i = 0; i < Cases() && !HasFailure(); ++i) {
    const std::string& name = names[rng() % names.size()];
    const Unused unused = store_.UnusedOf(name);
    std::size_t offset = rng() % unused.size();
    // Most of a file is of one kind: its beginning and its end get as many.
    if (rng() % 4 == 0) offset %= 4096;
    if (rng() % 4 == 0) offset = unused.size() - 1 - offset % 512;
    // Most trials are of bytes that count.
    for (int tries = 0; tries < 8 && unused[offset]; ++tries) offset = rng() % unused.size();
    TryFlip(name, offset, rng() % 8, unused[offset], IsThorough(i));
  }
}

TEST_P(DamageTest, ShortenedFilesAreFoundOrHarmless) {
  std::mt19937 rng(RandomSeed());
  std::vector<std::string> names;
  for (const auto& [name, bytes] : store_.files()) names.push_back(name);
  for (std::size_t i = 0; i < Cases() / 4 && !HasFailure(); ++i) {
    const std::string& name = names[rng() % names.size()];
    const std::string& bytes = store_.files().at(name);
    std::size_t length = rng() % bytes.size();
    if (rng() % 3 == 0)
      length = bytes.size() - 1 - length % std::min<std::size_t>(64, bytes.size());
    SCOPED_TRACE(name + " shortened to " + std::to_string(length));
    store_.Put(name, std::string_view(bytes).substr(0, length));
    const auto report = VerifyStore(store_.path());
    EXPECT_OK(report);
    const auto answers = DamageStore::Read(store_.path());
    const bool same = answers.ok() && *answers == store_.sound();
    if (name.ends_with(".log")) {
      // Cut between two records it is as a crash before the later commits would have
      // left it. Within one, it is noted.
      if (answers.ok()) ExpectEarlierState(*answers);
    } else {
      EXPECT_TRUE(!report->ok() || (same && (store_.UnusedOf(name)[0] || !report->notes.empty())))
          << Described(*report);
    }
    if (IsThorough(i)) ExpectNoCrashOfWriting();
    if (IsThorough(i) && !name.ends_with(".log")) ExpectRepairKeepsWhatIsSound();
    store_.Restore(name);
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, DamageTest, testing::Range(0, kShards));

}  // namespace
}  // namespace quarry
