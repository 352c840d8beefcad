#include "storage/catalog_files.h"

#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "format/status_macros.h"

namespace quarry::storage {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;

Status CheckWholeFile(const File& file, std::uint64_t bytes, const Catalog::Table& table,
                      const OnRead& on_read) {
  const auto generator =
      rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({table.name, ""});
  std::vector<std::byte> piece;
  for (std::uint64_t offset = 0; offset < bytes; offset += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kReadBytes, bytes - offset));
    QUARRY_TRY(file.ReadAt(offset, piece));
    generator->Update(reinterpret_cast<const char*>(piece.data()), piece.size());
    QUARRY_TRY(on_read(piece.size()));
  }
  generator->Finalize();
  if (generator->GetChecksum() == table.checksum) return Status::Ok();
  return Status::Corruption("the table does not match its checksum");
}

Status CheckBlocks(const std::string& path) {
  rocksdb::SstFileReader reader{rocksdb::Options()};
  rocksdb::Status status = reader.Open(path);
  if (status.ok()) status = reader.VerifyChecksum();
  return status.ok() ? Status::Ok() : Status::Corruption(status.ToString());
}

}  // namespace

Status CheckTable(Vfs& vfs, const std::string& catalog_path, const Catalog::Table& table,
                  const OnRead& on_read) {
  const std::string path = catalog_path + "/" + table.name;
  const auto file = vfs.OpenFile(path, Vfs::Open::kRead);
  if (file.status().code() == StatusCode::kNotFound) {
    return Status::Corruption("the table is missing");
  }
  if (!file.ok()) return file.status();
  QUARRY_ASSIGN(const std::uint64_t bytes, (*file)->Size());
  if (!table.checksum.empty()) return CheckWholeFile(**file, bytes, table, on_read);
  QUARRY_TRY(CheckBlocks(path));
  return on_read(bytes);
}

std::optional<std::string> GetFromTable(const std::string& path, std::string_view key) {
  rocksdb::SstFileReader reader{rocksdb::Options()};
  if (!reader.Open(path).ok()) return std::nullopt;
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  it->Seek({key.data(), key.size()});
  if (!it->Valid() || it->key() != rocksdb::Slice(key.data(), key.size())) return std::nullopt;
  return it->value().ToString();
}

}  // namespace quarry::storage
