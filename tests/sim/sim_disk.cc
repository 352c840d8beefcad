#include "tests/sim/sim_disk.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace quarry::sim {

std::string Normal(const std::string& path) {
  std::string normal;
  for (const char c : path) {
    if (c != '/' || normal.empty() || normal.back() != '/') normal += c;
  }
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

SimDisk::SimDisk(DiskModel start)
    : start_(std::move(start)), names_(start_.names()), next_inode_(start_.next_inode()) {
  for (const auto& [path, entry] : names_) {
    if (!entry.is_directory) used_ += FileOf(entry.inode)->content->size();
  }
}

std::shared_ptr<SimDisk::File> SimDisk::FileOf(std::uint64_t inode) {
  auto& file = files_[inode];
  if (file == nullptr) {
    file = std::make_shared<File>();
    file->disk = this;
    file->inode = inode;
    file->content = std::make_shared<Bytes>(start_.ContentOf(inode));
    for (const auto& [name, entry] : names_) {
      if (entry.inode == inode) file->path = name;
    }
  }
  return file;
}

void SimDisk::Record(DiskOp op) { log_.push_back(std::move(op)); }

Error SimDisk::FaultOf(Call call, const std::string& what) {
  using Kind = Fault::Kind;
  if (fault_.nth == 0) return Error::kNone;
  const bool is_short = fault_.kind == Kind::kShortIoError || fault_.kind == Kind::kShortNoSpace;
  const bool counts = fault_.kind == Kind::kReadError ? call == Call::kRead
                      : is_short                      ? call == Call::kWrite
                                                      : call != Call::kRead;
  if (!counts) return Error::kNone;
  ++calls_;
  if (calls_ < fault_.nth || (calls_ > fault_.nth && !fault_.all_after)) return Error::kNone;
  if (!fired_) failed_call_ = what;
  fired_ = true;
  const bool no_space = fault_.kind == Kind::kNoSpace || fault_.kind == Kind::kShortNoSpace;
  return no_space ? Error::kNoSpace : Error::kIo;
}

Error SimDisk::File::Read(std::uint64_t offset, std::span<std::byte> out, std::size_t* read) const {
  const std::lock_guard lock(disk->mutex_);
  if (const Error error = disk->FaultOf(Call::kRead, "read " + path); error != Error::kNone) {
    return error;
  }
  const std::uint64_t size = content->size();
  *read = offset >= size ? 0 : std::min<std::uint64_t>(out.size(), size - offset);
  if (*read > 0) std::copy_n(content->data() + offset, *read, out.data());
  return Error::kNone;
}

Error SimDisk::File::Write(std::uint64_t offset, std::span<const std::byte> bytes) {
  const std::lock_guard lock(disk->mutex_);
  return WriteLocked(offset, bytes);
}

Error SimDisk::File::Append(std::span<const std::byte> bytes) {
  const std::lock_guard lock(disk->mutex_);
  return WriteLocked(content->size(), bytes);
}

Error SimDisk::File::WriteLocked(std::uint64_t offset, std::span<const std::byte> bytes) {
  Error error = disk->FaultOf(Call::kWrite, "write " + path);
  if (error != Error::kNone) {
    const Fault::Kind kind = disk->fault_.kind;
    const bool is_short = kind == Fault::Kind::kShortIoError || kind == Fault::Kind::kShortNoSpace;
    bytes = bytes.first(is_short ? (bytes.size() + 1) / 2 : 0);
  }
  const std::uint64_t size = content->size();
  if (offset + bytes.size() > size) {
    const std::uint64_t left = disk->capacity_ - std::min(disk->capacity_, disk->used_);
    const std::uint64_t room = size + left > offset ? size + left - offset : 0;
    if (room < bytes.size()) {
      bytes = bytes.first(room);
      error = Error::kNoSpace;
    }
  }
  if (bytes.empty()) return error;
  const std::uint64_t end = offset + bytes.size();
  if (end > size) {
    if (mapped) {
      std::fprintf(stderr, "a mapped file of the simulated disk grows\n");
      std::abort();
    }
    disk->used_ += end - size;
    content->resize(end);
  }
  std::copy(bytes.begin(), bytes.end(), content->begin() + static_cast<std::ptrdiff_t>(offset));
  disk->Record({.kind = DiskOp::Kind::kWrite,
                .inode = inode,
                .offset = offset,
                .bytes = std::make_shared<const Bytes>(bytes.begin(), bytes.end())});
  return error;
}

Error SimDisk::File::Resize(std::uint64_t bytes, bool only_grow) {
  const std::lock_guard lock(disk->mutex_);
  if (const Error error = disk->FaultOf(Call::kChange, "resize " + path); error != Error::kNone)
    return error;
  const std::uint64_t size = content->size();
  if (bytes == size || (only_grow && bytes < size)) return Error::kNone;
  if (bytes > size && bytes - size > disk->capacity_ - std::min(disk->capacity_, disk->used_)) {
    return Error::kNoSpace;
  }
  if (mapped) {
    std::fprintf(stderr, "a mapped file of the simulated disk changes its size\n");
    std::abort();
  }
  disk->used_ += bytes - size;
  content->resize(bytes);
  disk->Record({.kind = DiskOp::Kind::kResize, .inode = inode, .offset = bytes});
  return Error::kNone;
}

Error SimDisk::File::Sync() {
  const std::lock_guard lock(disk->mutex_);
  if (const Error error = disk->FaultOf(Call::kSync, "sync " + path); error != Error::kNone) {
    disk->sync_failed_ = true;
    const std::uint64_t seed = disk->log_.size() * 1000003 + inode;
    disk->Record({.kind = DiskOp::Kind::kFailedSync, .inode = inode, .offset = seed});
    return error;
  }
  disk->Record({.kind = DiskOp::Kind::kSync, .inode = inode});
  return Error::kNone;
}

std::uint64_t SimDisk::File::Size() const {
  const std::lock_guard lock(disk->mutex_);
  return content->size();
}

std::shared_ptr<const std::byte> SimDisk::File::Map(std::uint64_t bytes) {
  const std::lock_guard lock(disk->mutex_);
  if (disk->FaultOf(Call::kRead, "map " + path) != Error::kNone) return nullptr;
  if (bytes > content->size()) {
    std::fprintf(stderr, "a mapping is longer than its file\n");
    std::abort();
  }
  mapped = true;
  return {content, content->data()};
}

Error SimDisk::Open(const std::string& path, std::shared_ptr<File>* file) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kRead, "open " + path); error != Error::kNone) return error;
  const auto found = names_.find(Normal(path));
  if (found == names_.end() || found->second.is_directory) return Error::kNotFound;
  *file = FileOf(found->second.inode);
  return Error::kNone;
}

Error SimDisk::Create(const std::string& path, bool replace, std::shared_ptr<File>* file) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kChange, "create " + path); error != Error::kNone)
    return error;
  const std::string name = Normal(path);
  if (!names_.contains(ParentOf(name))) return Error::kNotFound;
  const auto found = names_.find(name);
  if (found != names_.end()) {
    if (!replace) return Error::kExists;
    used_ -= FileOf(found->second.inode)->content->size();
  }
  *file = std::make_shared<File>();
  (*file)->disk = this;
  (*file)->inode = next_inode_++;
  (*file)->path = name;
  (*file)->content = std::make_shared<Bytes>();
  files_[(*file)->inode] = *file;
  names_[name] = {(*file)->inode, false};
  Record({.kind = DiskOp::Kind::kCreateFile, .inode = (*file)->inode, .path = name});
  return Error::kNone;
}

Error SimDisk::CreateDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kChange, "create directory " + path); error != Error::kNone)
    return error;
  const std::string name = Normal(path);
  if (!names_.contains(ParentOf(name))) return Error::kNotFound;
  if (names_.contains(name)) return Error::kExists;
  names_[name] = {next_inode_, true};
  Record({.kind = DiskOp::Kind::kCreateDirectory, .inode = next_inode_++, .path = name});
  return Error::kNone;
}

Error SimDisk::OpenDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kRead, "open directory " + path); error != Error::kNone)
    return error;
  const auto found = names_.find(Normal(path));
  const bool there = found != names_.end() && found->second.is_directory;
  return there ? Error::kNone : Error::kNotFound;
}

Error SimDisk::SyncDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kSync, "sync directory " + path); error != Error::kNone) {
    sync_failed_ = true;
    return error;
  }
  const auto found = names_.find(Normal(path));
  if (found == names_.end() || !found->second.is_directory) return Error::kNotFound;
  Record({.kind = DiskOp::Kind::kSyncDirectory, .path = found->first});
  return Error::kNone;
}

Error SimDisk::Remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kChange, "remove " + path); error != Error::kNone)
    return error;
  const auto found = names_.find(Normal(path));
  if (found == names_.end() || found->second.is_directory) return Error::kNotFound;
  used_ -= FileOf(found->second.inode)->content->size();
  Record({.kind = DiskOp::Kind::kRemove, .path = found->first});
  names_.erase(found);
  return Error::kNone;
}

Error SimDisk::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kChange, "rename " + from); error != Error::kNone)
    return error;
  const auto found = names_.find(Normal(from));
  if (found == names_.end()) return Error::kNotFound;
  const std::string target = Normal(to);
  const auto replaced = names_.find(target);
  if (replaced != names_.end()) used_ -= FileOf(replaced->second.inode)->content->size();
  Record({.kind = DiskOp::Kind::kRename, .path = found->first, .to = target});
  names_[target] = found->second;
  names_.erase(Normal(from));
  return Error::kNone;
}

Error SimDisk::List(const std::string& path, std::vector<std::string>* names) {
  const std::lock_guard lock(mutex_);
  if (const Error error = FaultOf(Call::kRead, "list " + path); error != Error::kNone) return error;
  const std::string directory = Normal(path);
  const auto found = names_.find(directory);
  if (found == names_.end() || !found->second.is_directory) return Error::kNotFound;
  for (const auto& [name, entry] : names_) {
    if (ParentOf(name) == directory) names->push_back(name.substr(directory.size() + 1));
  }
  return Error::kNone;
}

int SimDisk::Exists(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(Normal(path));
  if (found == names_.end()) return 0;
  return found->second.is_directory ? 2 : 1;
}

bool SimDisk::Lock(const std::string& path, bool exclusive) {
  const std::lock_guard lock(mutex_);
  int& holders = locks_[Normal(path)];
  if (holders < 0 || (exclusive && holders > 0)) return false;
  holders = exclusive ? -1 : holders + 1;
  return true;
}

void SimDisk::Unlock(const std::string& path) {
  const std::lock_guard lock(mutex_);
  int& holders = locks_[Normal(path)];
  holders = std::max(0, holders - 1);
}

void SimDisk::SetFault(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  calls_ = 0;
}

bool SimDisk::fault_fired() const {
  const std::lock_guard lock(mutex_);
  return fired_;
}

std::string SimDisk::failed_call() const {
  const std::lock_guard lock(mutex_);
  return failed_call_;
}

bool SimDisk::sync_failed() const {
  const std::lock_guard lock(mutex_);
  return sync_failed_;
}

void SimDisk::ForgetFailedSync() {
  const std::lock_guard lock(mutex_);
  sync_failed_ = false;
}

void SimDisk::SetCapacity(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

std::uint64_t SimDisk::free_bytes() const {
  const std::lock_guard lock(mutex_);
  return capacity_ - std::min(capacity_, used_);
}

std::uint64_t SimDisk::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

std::size_t SimDisk::log_size() const {
  const std::lock_guard lock(mutex_);
  return log_.size();
}

std::vector<DiskOp> SimDisk::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

DiskModel SimDisk::Now() const {
  const std::lock_guard lock(mutex_);
  DiskModel model = start_;
  for (const DiskOp& op : log_) model.Apply(op);
  return model;
}

}  // namespace quarry::sim
