// A store in a temporary directory, and short ways to fill and read it.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quarry/store.h"
#include "tests/engine/reference.h"
#include "tests/status_matchers.h"
#include "tests/temp_dir.h"
#include "tests/value.h"

namespace quarry::testing_support {

using Words = std::vector<std::string>;

// A failure with this code, whose message has all these words.
MATCHER_P2(FailsSaying, code, words, std::string("fails with ") + std::string(ToString(code))) {
  const Status& status = StatusOf(arg);
  *result_listener << status.ToString();
  if (status.code() != code) return false;
  for (const std::string& word : words) {
    if (status.message().find(word) != std::string::npos) continue;
    *result_listener << ", which lacks \"" << word << "\"";
    return false;
  }
  return true;
}

class TestStore {
 public:
  explicit TestStore(OpenOptions options = {}) : options_(std::move(options)) {
    options_.create_if_missing = true;
    Open();
  }

  std::string path() const { return directory_ / "store"; }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }

  Collection Create(std::string_view name, const CollectionSchema& schema) {
    return Value(store_->CreateCollection(name, schema));
  }
  Collection Get(std::string_view name) { return Value(store_->GetCollection(name)); }

  void Open() { store_ = Value(Store::Open(path(), options_)); }
  // The store is gone until Open. REQUIRES: no snapshot of it is left
  void Close() {
    EXPECT_OK(store_->Close());
    store_.reset();
  }
  void Reopen(OpenOptions options) {
    options_ = std::move(options);
    Reopen();
  }
  void Reopen() {
    Close();
    Open();
  }

  // How many files the slabs take.
  std::size_t SlabFiles() const {
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(path() + "/slabs"))
      ++files;
    return files;
  }

 private:
  TempDir directory_;
  OpenOptions options_;
  std::unique_ptr<Store> store_;
};

using Vectors = std::vector<std::vector<float>>;

// One after the other. REQUIRES: all of one length
inline std::vector<float> Flat(const Vectors& vectors) {
  std::vector<float> flat;
  for (const auto& vector : vectors) flat.insert(flat.end(), vector.begin(), vector.end());
  return flat;
}

// Ids first .. first + n - 1.
inline std::vector<Id> Numbers(std::uint64_t first, std::size_t n) {
  std::vector<Id> ids;
  for (std::size_t i = 0; i < n; ++i) ids.emplace_back(first + i);
  return ids;
}

inline Vectors RandomVectors(std::mt19937& rng, std::size_t n, std::size_t dim) {
  std::normal_distribution<float> normal;
  Vectors vectors(n, std::vector<float>(dim));
  for (auto& vector : vectors) {
    for (float& x : vector) x = normal(rng);
  }
  return vectors;
}

inline Result<WriteResult> Upsert(Collection& collection, const std::vector<Id>& ids,
                                  const Vectors& vectors,
                                  const std::vector<std::string_view>& metadata = {},
                                  const WriteOptions& options = {.sync = false}) {
  const std::vector<float> flat = Flat(vectors);
  Records records{.ids = ids, .vectors = {}, .metadata = metadata};
  if (!vectors.empty()) {
    records.vectors = VectorView(flat.data(), vectors.size(), vectors.front().size());
  }
  return collection.Upsert(records, options);
}

inline Result<WriteResult> Delete(Collection& collection, const std::vector<Id>& ids) {
  return collection.Delete(ids, {.sync = false});
}

inline std::uint64_t Count(const Collection& collection) { return Value(collection.Count()); }

// Everything about one record; nullopt: it is not there.
inline std::optional<Record> Find(const Collection& collection, const Id& id,
                                  std::shared_ptr<const Snapshot> snapshot = nullptr) {
  return Value(collection.Get(
      {&id, 1}, {.with = {.metadata = true, .vector = true}, .snapshot = std::move(snapshot)}))[0];
}

inline std::vector<Hit> Search(const Collection& collection, const std::vector<float>& query,
                               const SearchOptions& options = {}) {
  return Value(collection.Search(query, options))[0];
}

inline std::vector<Id> IdsOf(const std::vector<Hit>& hits) {
  std::vector<Id> ids;
  for (const Hit& hit : hits) ids.push_back(hit.id);
  return ids;
}

inline std::vector<Id> IdsOf(const std::vector<Record>& records) {
  std::vector<Id> ids;
  for (const Record& record : records) ids.push_back(record.id);
  return ids;
}

// All records of a collection, read by scrolling.
inline std::map<Id, Reference::Entry> Contents(const Collection& collection,
                                               std::shared_ptr<const Snapshot> snapshot = nullptr) {
  ScrollOptions options{.limit = 1u << 20, .with = {.metadata = true, .vector = true}};
  options.snapshot = std::move(snapshot);
  std::map<Id, Reference::Entry> records;
  for (Record& record : Value(collection.Scroll(options))) {
    records[record.id] = {std::move(record.vector), std::move(record.metadata),
                          record.expires_at_unix_ms};
  }
  return records;
}

// Same ids and, with ==, same scores.
inline void ExpectSameHits(const std::vector<Hit>& got, const std::vector<Hit>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(got[i].id, want[i].id)
        << "rank " << i << ", score " << got[i].score << ", expected " << want[i].score;
    ASSERT_EQ(got[i].score, want[i].score) << "rank " << i;
  }
}

}  // namespace quarry::testing_support

namespace quarry {

// For the messages of failed tests.
inline void PrintTo(const Id& id, std::ostream* out) {
  *out << (id.type() == IdType::kU64 ? id.ToString() : "\"" + id.text() + "\"");
}

}  // namespace quarry
