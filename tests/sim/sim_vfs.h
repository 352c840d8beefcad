// The face of a simulated disk that slabs and the store's own files see.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/vfs.h"
#include "tests/sim/sim_disk.h"

namespace quarry::sim {

// Thread-safe. `disk` and `env` outlive it and all that is opened through it.
class SimVfs final : public storage::Vfs {
 public:
  SimVfs(SimDisk& disk, rocksdb::Env* env) : disk_(disk), env_(env) {}

  Result<std::unique_ptr<storage::File>> OpenFile(const std::string& path, Open mode) override;
  Result<std::unique_ptr<storage::Mapping>> Map(const std::string& path,
                                                std::uint64_t bytes) override;
  Result<std::unique_ptr<storage::Lock>> LockFile(const std::string& path, bool exclusive) override;
  Status CreateDirectory(const std::string& path) override;
  Result<std::unique_ptr<storage::Names>> OpenDirectory(const std::string& path) override;
  Status Remove(const std::string& path) override;
  // No workload removes directories. File systems without links are copied on.
  Status RemoveDirectory(const std::string& path) override {
    return Status::NotSupported(path + ": the simulated disk keeps its directories");
  }
  Status Link(const std::string& existing, const std::string& /*name*/) override {
    return Status::NotSupported(existing + ": the simulated disk has no links");
  }
  Status Rename(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override { return disk_.Exists(path) != 0; }
  Result<std::uint64_t> FreeBytes(const std::string&) override { return disk_.free_bytes(); }
  rocksdb::Env* catalog_env() override { return env_; }

 private:
  SimDisk& disk_;
  rocksdb::Env* const env_;
};

}  // namespace quarry::sim
