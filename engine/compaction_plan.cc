#include "engine/compaction_plan.h"

#include <algorithm>
#include <numeric>

namespace quarry::engine {
namespace {

// A merge for the sake of fewer slabs takes at least and at most so many.
constexpr std::size_t kMergeSlabs = 8;
constexpr std::size_t kMaxMergeSlabs = 64;

bool IsMostlyWaste(const SlabLoad& slab) { return slab.waste() > slab.capacity / 2; }

class Planner {
 public:
  Planner(std::span<const SlabLoad> slabs, const CompactionLimits& limits)
      : slabs_(slabs), limits_(limits), taken_(slabs.size()) {
    for (std::size_t i = 0; i < slabs.size(); ++i) {
      taken_[i] = slabs[i].fixed;
      if (slabs[i].fixed) continue;
      capacity_ += slabs[i].capacity;
      waste_ += slabs[i].waste();
    }
  }

  std::vector<CompactionJob> Plan() {
    TakeDead();
    TakeWasteful();
    MergeSmall();
    return std::move(jobs_);
  }

 private:
  bool WastesTooMuch() const {
    return waste_ > 0 && waste_ >= limits_.min_waste_rows &&
           static_cast<double>(waste_) > limits_.max_waste * static_cast<double>(capacity_);
  }

  // Slabs without live rows: to unlist them needs no space, so nothing is copied with them.
  void TakeDead() {
    for (std::size_t first = 0; first < slabs_.size();) {
      CompactionJob job{first, 0, 0};
      while (first < slabs_.size() && !taken_[first] && slabs_[first].live == 0) {
        ++job.count;
        ++first;
      }
      if (job.count != 0) {
        Take(job);
      } else {
        ++first;
      }
    }
  }

  // Largest share of waste first.
  void TakeWasteful() {
    std::vector<std::size_t> seeds;
    for (std::size_t i = 0; i < slabs_.size(); ++i) {
      if (!taken_[i] && slabs_[i].waste() > 0) seeds.push_back(i);
    }
    std::stable_sort(seeds.begin(), seeds.end(), [&](std::size_t a, std::size_t b) {
      return std::uint64_t{slabs_[a].waste()} * slabs_[b].capacity >
             std::uint64_t{slabs_[b].waste()} * slabs_[a].capacity;
    });
    for (const std::size_t seed : seeds) {
      if (taken_[seed]) continue;
      if (!IsMostlyWaste(slabs_[seed]) && !WastesTooMuch()) break;
      Take(Extended(seed));
    }
  }

  // The seed with the neighbours on both sides that are worth it and fit.
  CompactionJob Extended(std::size_t seed) const {
    CompactionJob job{seed, 1, slabs_[seed].live};
    std::uint64_t most = std::max(limits_.slab_rows, slabs_[seed].capacity);
    const auto extend = [&](std::size_t next) {
      const SlabLoad& slab = slabs_[next];
      const std::uint64_t room = std::max<std::uint64_t>(most, slab.capacity);
      const bool worth = IsMostlyWaste(slab) || slab.live <= job.live;
      if (taken_[next] || !worth || job.live + slab.live > room) return false;
      most = room;
      job.live += slab.live;
      ++job.count;
      return true;
    };
    while (job.first + job.count < slabs_.size() && extend(job.first + job.count)) continue;
    while (job.first > 0 && extend(job.first - 1)) --job.first;
    return job;
  }

  void Take(const CompactionJob& job) {
    for (std::size_t i = job.first; i < job.first + job.count; ++i) {
      taken_[i] = true;
      capacity_ -= slabs_[i].waste();
      waste_ -= slabs_[i].waste();
    }
    jobs_.push_back(job);
  }

  void MergeSmall() {
    for (std::size_t first = 0; first + kMergeSlabs <= slabs_.size();) {
      const CompactionJob job = LargestMerge(first);
      if (job.count != 0) Take(job);
      first += std::max<std::size_t>(1, job.count);
    }
  }

  // Of slabs from `first` on; none: count is 0.
  CompactionJob LargestMerge(std::size_t first) const {
    CompactionJob best{first, 0, 0};
    CompactionJob job = best;
    std::uint32_t largest = 0;
    const std::size_t end = std::min(slabs_.size(), first + kMaxMergeSlabs);
    for (std::size_t i = first; i < end && !taken_[i]; ++i) {
      job.live += slabs_[i].live;
      if (job.live > limits_.slab_rows) break;
      ++job.count;
      largest = std::max(largest, slabs_[i].live);
      if (job.count >= kMergeSlabs && 2 * std::uint64_t{largest} <= job.live) best = job;
    }
    return best;
  }

  const std::span<const SlabLoad> slabs_;
  const CompactionLimits& limits_;
  std::vector<bool> taken_;     // fixed, or in a job
  std::uint64_t capacity_ = 0;  // of slabs that are not fixed, after the jobs so far
  std::uint64_t waste_ = 0;     // of that
  std::vector<CompactionJob> jobs_;
};

}  // namespace

std::vector<CompactionJob> PlanCompaction(std::span<const SlabLoad> slabs,
                                          const CompactionLimits& limits) {
  return Planner(slabs, limits).Plan();
}

std::vector<SlabLoad> LoadsOf(const CollectionView& view) {
  std::vector<SlabLoad> loads;
  loads.reserve(view.slabs.size());
  for (std::size_t i = 0; i < view.slabs.size(); ++i) {
    const SlabView& slab = view.slabs[i];
    const bool active = view.has_active && i + 1 == view.slabs.size();
    loads.push_back({slab.slab->capacity_rows(), slab.rows - slab.dead_rows(),
                     active || slab.slab->has_quarantine()});
  }
  return loads;
}

}  // namespace quarry::engine
