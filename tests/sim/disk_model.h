// What a disk holds, and what of it would survive a power cut.
//
// Strict POSIX: bytes of a file are durable once the file was synced after they were
// written, names once their directory was synced. Of what is not, a power cut keeps
// any part: each sector of a file as some write left it, its size as at some moment,
// each change of a name or none of it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace quarry::sim {

using Bytes = std::vector<std::byte>;
using Rng = std::mt19937_64;

inline constexpr std::uint64_t kSectorBytes = 512;

// One effect on a disk. Paths are absolute, without "//" or a "/" at the end.
struct DiskOp {
  enum class Kind {
    kCreateFile,       // path, inode
    kCreateDirectory,  // path, inode
    kWrite,            // inode, offset, bytes
    kResize,           // inode, offset: the new size
    kSync,             // inode
    kFailedSync,       // inode, offset: a seed. Any part of what was written is on the
                       // disk; later syncs do not write the rest
    kRename,           // path, to
    kRemove,           // path
    kSyncDirectory,    // path
  };
  Kind kind = Kind::kWrite;
  std::uint64_t inode = 0;
  std::uint64_t offset = 0;
  std::shared_ptr<const Bytes> bytes = nullptr;
  std::string path = {};
  std::string to = {};
};

std::string ParentOf(const std::string& path);

// A value: copies share what they have in common.
class DiskModel {
 public:
  // One directory, durable.
  explicit DiskModel(const std::string& directory);

  // REQUIRES: the operation was possible.
  void Apply(const DiskOp& op);

  // A disk as a power cut now may leave it, chosen by `rng`. Nothing is pending there.
  DiskModel AfterPowerCut(Rng& rng) const;

  struct Entry {
    std::uint64_t inode = 0;
    bool is_directory = false;
  };
  // As processes see them, durable or not.
  const std::map<std::string, Entry>& names() const { return names_; }
  Bytes ContentOf(std::uint64_t inode) const;
  std::uint64_t next_inode() const { return next_inode_; }

 private:
  struct Change {  // of a file, not synced yet
    std::uint64_t offset = 0;
    std::shared_ptr<const Bytes> bytes;  // null: the size becomes `offset`
  };
  struct File {
    std::shared_ptr<Bytes> durable = std::make_shared<Bytes>();
    std::vector<Change> pending;
    bool torn = false;              // a sync failed: in memory it is not as on the disk
    std::shared_ptr<Bytes> memory;  // its content where `torn`
  };
  struct NameChange {  // not synced yet
    std::string path;
    std::string to;  // of a rename
    Entry entry;
    bool removed = false;
  };

  static void ApplyTo(Bytes& content, const Change& change);
  static Bytes PartOf(const File& file, Rng& rng);
  static void ApplyTo(std::map<std::string, Entry>& names, const NameChange& change);
  void Write(File& file, Change change);
  void ChangeName(NameChange change);

  std::string root_;
  std::map<std::uint64_t, File> files_;
  std::map<std::string, Entry> names_;
  std::map<std::string, Entry> durable_names_;
  std::vector<NameChange> pending_names_;
  std::uint64_t next_inode_ = 1;
};

}  // namespace quarry::sim
