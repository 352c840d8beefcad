// The damages of a report, as they are found.

#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "format/status_macros.h"
#include "quarry/verify.h"
#include "storage/directory.h"

namespace quarry::engine {

// Where a damage is; `file` is below the store.
inline Damage DamageOf(const Status& status, std::string file, std::string collection = {}) {
  Damage damage;
  damage.code = status.code();
  damage.file = std::move(file);
  damage.collection = std::move(collection);
  damage.text = status.message();
  return damage;
}

inline std::string FileOf(const storage::Directory& directory, std::uint64_t slab,
                          format::PlaneKind kind) {
  return directory.plane_path(slab, kind).substr(directory.path().size() + 1);
}

class DamageList {
 public:
  explicit DamageList(std::size_t max_damages = std::numeric_limits<std::size_t>::max(),
                      std::size_t max_ids = std::numeric_limits<std::size_t>::max())
      : max_damages_(max_damages), max_ids_(max_ids) {}

  void Add(Damage damage) {
    if (damages_.size() < max_damages_) {
      damages_.push_back(std::move(damage));
    } else {
      ++more_;
    }
  }

  void AddId(Damage& damage, Id id) const {
    ++damage.ids_total;
    if (damage.ids.size() < max_ids_) damage.ids.push_back(std::move(id));
  }

  std::vector<Damage>& damages() { return damages_; }
  std::uint64_t more() const { return more_; }
  std::uint64_t count() const { return damages_.size() + more_; }

 private:
  const std::size_t max_damages_;
  const std::size_t max_ids_;
  std::vector<Damage> damages_;
  std::uint64_t more_ = 0;
};

}  // namespace quarry::engine
