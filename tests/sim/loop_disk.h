// A small file system of its own, whose power can be cut.

#pragma once

#include <cstdint>
#include <string>

#include "quarry/status.h"
#include "tests/temp_dir.h"

namespace quarry::sim {

// In memory, on a loop device. Needs root, and a mount namespace of this process alone
// (EnterPrivateMounts): mounts and loop devices are gone when it ends in any way.
class LoopDisk {
 public:
  // kNotSupported, with what is missing: there can be no such disks here.
  static Status EnterPrivateMounts();

  LoopDisk() = default;
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  // Makes a file system, "ext4" or "xfs", and mounts it. kNotSupported: its tools, or
  // loop devices, are missing.
  Status Make(const std::string& type);
  const std::string& path() const { return path_; }  // where it is mounted

  // From now on nothing reaches the disk, and all that changes something fails.
  //   log   what the journal has in memory is written first
  Status CutPower(bool log);
  // Mounts what reached the disk. REQUIRES: no file of it is open
  Status MountAgain();

 private:
  Status Mount();
  Status Unmount();

  testing_support::TempDir directory_;
  std::string path_ = directory_ / "mount";
  std::string type_;
  int image_ = -1;
  bool mounted_ = false;
};

}  // namespace quarry::sim
