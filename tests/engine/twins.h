// Two collections that must answer alike.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "tests/engine/test_store.h"

namespace quarry::testing_support {

// Two collections with the same records, one with sketches and one without.
class Twins {
 public:
  Twins(TestStore& store, CollectionSchema schema, SketchPolicy policy = SketchPolicy::kI8) {
    schema.zero_vectors = ZeroVectors::kAllow;
    schema.sketch = policy;
    with = store.Create("with", schema);
    schema.sketch = SketchPolicy::kNone;
    without = store.Create("without", schema);
  }

  void Write(const std::vector<Id>& ids, const Vectors& vectors) {
    ASSERT_OK(Upsert(*with, ids, vectors));
    ASSERT_OK(Upsert(*without, ids, vectors));
  }
  void Remove(const std::vector<Id>& ids) {
    ASSERT_OK(Delete(*with, ids));
    ASSERT_OK(Delete(*without, ids));
  }

  // After a Close, both are to be got again.
  void Forget() {
    with.reset();
    without.reset();
  }
  void Get(TestStore& store) {
    with = store.Get("with");
    without = store.Get("without");
  }

  // Returns what the search by sketches did.
  SearchStats ExpectSame(const Vectors& queries, SearchOptions options) const {
    SearchStats stats;
    const std::vector<float> flat = Flat(queries);
    const VectorView view(flat.data(), queries.size(), queries.front().size());
    const auto want = Value(without->Search(view, options));
    options.stats = &stats;
    const auto got = Value(with->Search(view, options));
    EXPECT_EQ(got.size(), want.size());
    for (std::size_t q = 0; q < want.size(); ++q) {
      EXPECT_EQ(got[q].size(), want[q].size()) << "query " << q;
      for (std::size_t i = 0; i < std::min(got[q].size(), want[q].size()); ++i) {
        EXPECT_EQ(got[q][i].id, want[q][i].id) << "query " << q << " rank " << i;
        EXPECT_EQ(got[q][i].score, want[q][i].score) << "query " << q << " rank " << i;
      }
    }
    return stats;
  }

  std::optional<Collection> with;
  std::optional<Collection> without;
};

}  // namespace quarry::testing_support
