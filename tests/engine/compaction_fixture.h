// A store whose slabs are small and which compacts only when it is asked to.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "format/plane.h"
#include "tests/engine/test_store.h"
#include "tests/file_bytes.h"
#include "tests/random_seed.h"

namespace quarry::testing_support {

inline OpenOptions ForCompaction() {
  OpenOptions options;
  options.background = false;
  options.slab_bytes = 1u << 20;
  return options;
}

// What reads of a collection answer: all records, row numbers, and searches.
struct CompactionAnswers {
  std::map<Id, Reference::Entry> records;
  std::vector<std::uint64_t> rows;  // in order of ids
  std::vector<std::vector<Hit>> hits;

  static CompactionAnswers Of(const Collection& collection, const Vectors& queries,
                              const std::shared_ptr<const Snapshot>& snapshot = nullptr) {
    CompactionAnswers answers;
    answers.records = Contents(collection, snapshot);
    ScrollOptions scroll{.limit = 1u << 20, .with = {}};
    scroll.snapshot = snapshot;
    for (const Record& record : Value(collection.Scroll(scroll))) {
      answers.rows.push_back(record.row);
    }
    for (const auto& query : queries) {
      for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kL2}) {
        SearchOptions options{.k = 20, .metric = metric};
        options.snapshot = snapshot;
        answers.hits.push_back(Search(collection, query, options));
      }
    }
    return answers;
  }
};

inline void ExpectSame(const CompactionAnswers& got, const CompactionAnswers& want) {
  EXPECT_TRUE(got.records == want.records);
  EXPECT_EQ(got.rows, want.rows);
  ASSERT_EQ(got.hits.size(), want.hits.size());
  for (std::size_t i = 0; i < want.hits.size(); ++i) ExpectSameHits(got.hits[i], want.hits[i]);
}

inline void ExpectSound(Store& store) {
  const VerifyReport report = Value(store.Verify());
  EXPECT_TRUE(report.damages.empty());
  for (const Damage& damage : report.damages) ADD_FAILURE() << damage.file << ": " << damage.text;
}

// Every n-th of ids first .. end - 1.
inline std::vector<Id> EveryNth(std::size_t n, std::uint64_t first, std::uint64_t end) {
  std::vector<Id> ids;
  for (std::uint64_t i = first; i < end; i += n) ids.emplace_back(i);
  return ids;
}

// Changes the first codes of a base plane.
inline void DamageFirstRow(const std::string& plane) {
  const std::string bytes = FileBytes(plane);
  const auto header =
      Value(format::DecodePlaneHeader(std::as_bytes(std::span(bytes)), bytes.size()));
  const auto offset = header.layout().codes_offset;
  std::fstream stream(plane, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(bytes[offset] ^ 1));
}

inline std::uint64_t DeadIn(const Collection& collection) {
  return Value(collection.Info()).dead_vectors;
}

}  // namespace quarry::testing_support
