// A store with two collections that must answer alike, of which one is to have pca
// sketches.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/pca_vectors.h"
#include "tests/engine/test_store.h"
#include "tests/engine/twins.h"

namespace quarry::testing_support {

inline constexpr std::size_t kDim = 64;
inline constexpr std::size_t kRows = 4608;  // of a full slab

class PcaTest : public testing::Test {
 protected:
  OpenOptions Options() {
    OpenOptions options;
    options.background = false;
    options.threads = 2;
    options.slab_bytes = kRows * (kDim * sizeof(float) + 16);
    options.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      log_.emplace_back(line);
    };
    return options;
  }

  void Write(std::size_t n) {
    twins_->Write(Numbers(next_, n), text_.Draw(n, rng_));
    next_ += n;
  }
  void Set(SketchPolicy policy) { ASSERT_OK(twins_->with->SetSketches(policy)); }
  void Reopen() {
    twins_->Forget();
    store_.Reopen();
    twins_->Get(store_);
  }
  SearchStats ExpectSameAnswers() {
    twins_->ExpectSame(text_.Draw(3, rng_), {.k = 10, .metric = Metric::kL2});
    return twins_->ExpectSame(text_.Draw(1, rng_), {.k = 10});
  }
  std::vector<SlabInfo> Slabs() const { return Value(twins_->with->Info()).slabs; }
  std::size_t PcaSlabs() const {
    const auto slabs = Slabs();
    return static_cast<std::size_t>(
        std::count_if(slabs.begin(), slabs.end(), [](const SlabInfo& slab) { return slab.pca; }));
  }
  std::string PathOf(const SlabInfo& slab, const std::string& kind) const {
    return store_.path() + "/slabs/" + std::to_string(slab.number) + "." + kind;
  }
  // The files are those that the collections say they have.
  void ExpectNoStrayFiles() {
    std::set<std::string> want;
    for (const Collection* collection : {&*twins_->with, &*twins_->without}) {
      for (const SlabInfo& slab : Value(collection->Info()).slabs) {
        want.insert(PathOf(slab, "base"));
        if (slab.sketched) want.insert(PathOf(slab, "i8"));
        if (slab.pca) want.insert(PathOf(slab, "pca"));
      }
    }
    std::set<std::string> got;
    for (const auto& file : std::filesystem::directory_iterator(store_.path() + "/slabs")) {
      got.insert(file.path().string());
    }
    EXPECT_EQ(got, want);
  }
  std::vector<std::string> TakeLog() {
    const std::lock_guard lock(log_mutex_);
    return std::exchange(log_, {});
  }

  std::mt19937 rng_{5};
  TextLike text_{kDim, rng_};
  std::uint64_t next_ = 0;
  std::mutex log_mutex_;
  std::vector<std::string> log_;  // guarded by log_mutex_
  TestStore store_{Options()};
  std::optional<Twins> twins_{std::in_place, store_, CollectionSchema{.dim = kDim}};
};

}  // namespace quarry::testing_support
