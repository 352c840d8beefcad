#include "storage/catalog_env.h"

#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "storage/catalog_rocks.h"
#include "storage/seeded_bug.h"

namespace quarry::storage {
namespace {

rocksdb::IOStatus Told(Directory& directory, rocksdb::IOStatus status) {
  if (!status.ok()) (void)directory.Synced(FromRocks(status));
  return status;
}

class SyncedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  SyncedFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, Directory& directory)
      : FSWritableFileOwnerWrapper(std::move(file)), directory_(directory) {}

  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    return Told(directory_, FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Told(directory_, FSWritableFileOwnerWrapper::Fsync(options, debug));
  }
  rocksdb::IOStatus RangeSync(std::uint64_t offset, std::uint64_t bytes,
                              const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override {
    return Told(directory_, FSWritableFileOwnerWrapper::RangeSync(offset, bytes, options, debug));
  }

 private:
  Directory& directory_;
};

class SyncedDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  SyncedDirectory(std::unique_ptr<rocksdb::FSDirectory>&& target, Directory& directory)
      : FSDirectoryWrapper(std::move(target)), directory_(directory) {}

  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Told(directory_, FSDirectoryWrapper::Fsync(options, debug));
  }
  rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options,
                                        rocksdb::IODebugContext* debug,
                                        const rocksdb::DirFsyncOptions& how) override {
    return Told(directory_, FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how));
  }

 private:
  Directory& directory_;
};

class CatalogFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  CatalogFileSystem(const std::shared_ptr<rocksdb::FileSystem>& target, Directory& directory)
      : FileSystemWrapper(target), directory_(directory) {}
  const char* Name() const override { return "quarry.catalog"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    return Wrapped(target()->NewWritableFile(path, options, file, debug), file);
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override {
    return Wrapped(target()->ReopenWritableFile(path, options, file, debug), file);
  }
  rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    return Wrapped(target()->ReuseWritableFile(path, old_path, options, file, debug), file);
  }
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* opened,
                                 rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = target()->NewDirectory(path, options, opened, debug);
    if (status.ok()) *opened = std::make_unique<SyncedDirectory>(std::move(*opened), directory_);
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (Seeded(SeededBug::kNameOfManifestNotSynced)) {
      return target()->RenameFile(from, to, options, debug);
    }
    std::unique_ptr<rocksdb::FSDirectory> parent;
    rocksdb::IOStatus status =
        NewDirectory(to.substr(0, to.find_last_of('/')), options, &parent, debug);
    if (status.ok()) status = parent->Fsync(options, debug);
    return status.ok() ? target()->RenameFile(from, to, options, debug) : status;
  }

 private:
  rocksdb::IOStatus Wrapped(rocksdb::IOStatus status,
                            std::unique_ptr<rocksdb::FSWritableFile>* file) {
    if (status.ok()) *file = std::make_unique<SyncedFile>(std::move(*file), directory_);
    return status;
  }

  Directory& directory_;
};

}  // namespace

CatalogEnv::CatalogEnv(rocksdb::Env* base, Directory& directory) : EnvWrapper(base) {
  file_system_ = std::make_shared<CatalogFileSystem>(base->GetFileSystem(), directory);
}

}  // namespace quarry::storage
