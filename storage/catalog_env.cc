#include "storage/catalog_env.h"

#include <rocksdb/file_system.h>

#include <memory>
#include <string>

#include "storage/seeded_bug.h"

namespace quarry::storage {
namespace {

class NamesInOrder final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "NamesInOrder"; }

  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (Seeded(SeededBug::kNameOfManifestNotSynced)) {
      return target()->RenameFile(from, to, options, debug);
    }
    std::unique_ptr<rocksdb::FSDirectory> directory;
    rocksdb::IOStatus status =
        target()->NewDirectory(to.substr(0, to.find_last_of('/')), options, &directory, debug);
    if (status.ok()) status = directory->Fsync(options, debug);
    return status.ok() ? target()->RenameFile(from, to, options, debug) : status;
  }
};

}  // namespace

CatalogEnv::CatalogEnv(rocksdb::Env* base) : EnvWrapper(base) {
  file_system_ = std::make_shared<NamesInOrder>(base->GetFileSystem());
}

}  // namespace quarry::storage
