// The directory of a copied store while it is being made.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/checkpoint_plan.h"
#include "quarry/checkpoint.h"
#include "storage/vfs.h"

namespace quarry::engine {

// Everything lies in <path>.part, synced file by file, and gets its name at the end.
// What a crash leaves has no FORMAT, and a name by which no store is created in it.
// Not thread-safe.
class StoreCopy {
 public:
  //   reserve_bytes   files that would leave less space than this are refused
  // Errors: kAlreadyExists when path or <path>.part is there; kInvalidArgument;
  // kNotFound; kNoSpace; kIoError.
  static Result<std::unique_ptr<StoreCopy>> Begin(storage::Vfs& vfs, const std::string& path,
                                                  std::uint64_t reserve_bytes);

  // Removes everything unless it is finished.
  ~StoreCopy();
  StoreCopy(const StoreCopy&) = delete;
  StoreCopy& operator=(const StoreCopy&) = delete;

  // Links a file. Errors: kNotSupported when there can be no link; those of Vfs.
  Status Link(const CopyFile& file);

  // Links the file if it is immutable and can be linked, else copies it.
  // Errors: kCancelled, kNoSpace, kIoError.
  Status Add(const CopyFile& file, const std::function<bool()>& go_on);
  // All files of a plan.
  Status Add(const CopyPlan& plan, const CheckpointOptions& options);

  // A file that is written here. Planes get all their space at once.
  Status BeginFile(const std::string& name, std::uint64_t bytes);
  Status Write(std::uint64_t offset, std::span<const std::byte> bytes);
  Status EndFile();

  // The directory as it is now.
  const std::string& part_path() const { return part_; }

  // Makes FORMAT (or PUBLISHED): from here on <path>.part is a store.
  Status Complete(const std::string& name, std::string_view contents);
  // Gives it its name, durably. REQUIRES: it is complete
  Status Finish();

 private:
  StoreCopy(storage::Vfs& vfs, std::string path, std::uint64_t reserve_bytes);

  Status WriteFile(const std::string& name, std::string_view contents);

  storage::Vfs& vfs_;
  const std::string path_;
  const std::string part_;
  const std::uint64_t reserve_bytes_;
  std::unique_ptr<storage::File> file_;  // being written
  bool finished_ = false;
};

// Fails with kInvalidArgument when `path` lies below the directory of the store, links
// and .. resolved: a copy in there would be a part of it.
Status CheckOutside(const std::string& store_path, const std::string& path);

// A path without slashes at its end. Errors: kInvalidArgument when nothing is left.
Result<std::string> WithoutSlashes(std::string path);

}  // namespace quarry::engine
