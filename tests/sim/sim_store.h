// A store on a simulated disk.

#pragma once

#include <memory>
#include <string>

#include "engine/store_core.h"
#include "tests/sim/disk_model.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_rocksdb.h"
#include "tests/sim/sim_vfs.h"

namespace quarry::sim {

class SimStore {
 public:
  static constexpr const char* kRoot = "/disk";

  explicit SimStore(DiskModel start = DiskModel(kRoot));
  // As a process ends that does not close the store.
  ~SimStore();
  SimStore(const SimStore&) = delete;
  SimStore& operator=(const SimStore&) = delete;

  Status Open(bool create);
  // Closes; the store is gone whatever it returns.
  Status Close();
  // As when the process ends without closing, but that what RocksDB's threads have
  // begun is finished.
  void Abandon();
  // Lets RocksDB do what is due.
  void Drain() { env_.Drain(); }

  // Null before Open and after Close.
  const std::shared_ptr<StoreCore>& core() const { return core_; }
  std::uint64_t sequence() const;
  SimDisk& disk() { return disk_; }
  // Bytes that stay free by OpenOptions, from the next Open on.
  void set_reserve(std::uint64_t bytes) { reserve_ = bytes; }

 private:
  SimDisk disk_;
  SimEnv env_;
  SimVfs vfs_;
  std::uint64_t reserve_ = 1u << 20;
  std::shared_ptr<StoreCore> core_;
};

}  // namespace quarry::sim
