#include "tests/sim/disk_model.h"

#include <algorithm>
#include <utility>

namespace quarry::sim {
namespace {

std::uint64_t RoundDown(std::uint64_t offset) { return offset / kSectorBytes * kSectorBytes; }

}  // namespace

std::string ParentOf(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

DiskModel::DiskModel(const std::string& directory) : root_(directory) {
  names_[directory] = {next_inode_++, true};
  durable_names_ = names_;
}

void DiskModel::ApplyTo(Bytes& content, const Change& change) {
  if (change.bytes == nullptr) {
    content.resize(change.offset);
    return;
  }
  const std::uint64_t end = change.offset + change.bytes->size();
  if (content.size() < end) content.resize(end);
  std::copy(change.bytes->begin(), change.bytes->end(),
            content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void DiskModel::ApplyTo(std::map<std::string, Entry>& names, const NameChange& change) {
  if (!change.to.empty()) names[change.to] = change.entry;
  if (change.removed) {
    names.erase(change.path);
  } else {
    names[change.path] = change.entry;
  }
}

void DiskModel::Write(File& file, Change change) {
  if (file.torn && change.bytes != nullptr) {
    // A sector is written as it is in memory, with what an earlier sync lost.
    ApplyTo(*file.memory, change);
    const std::uint64_t begin = RoundDown(change.offset);
    const std::uint64_t end = std::min<std::uint64_t>(
        file.memory->size(), RoundDown(change.offset + change.bytes->size() + kSectorBytes - 1));
    change = {begin, std::make_shared<const Bytes>(
                         file.memory->begin() + static_cast<std::ptrdiff_t>(begin),
                         file.memory->begin() + static_cast<std::ptrdiff_t>(end))};
  } else if (file.torn) {
    ApplyTo(*file.memory, change);
  }
  file.pending.push_back(std::move(change));
}

void DiskModel::ChangeName(NameChange change) {
  ApplyTo(names_, change);
  pending_names_.push_back(std::move(change));
}

void DiskModel::Apply(const DiskOp& op) {
  using Kind = DiskOp::Kind;
  switch (op.kind) {
    case Kind::kCreateFile:
    case Kind::kCreateDirectory:
      next_inode_ = std::max(next_inode_, op.inode + 1);
      if (op.kind == Kind::kCreateFile) files_[op.inode];
      ChangeName({op.path, {}, {op.inode, op.kind == Kind::kCreateDirectory}, false});
      return;
    case Kind::kWrite:
    case Kind::kResize:
      Write(files_[op.inode], {op.offset, op.kind == Kind::kWrite ? op.bytes : nullptr});
      return;
    case Kind::kSync: {
      File& file = files_[op.inode];
      if (file.pending.empty()) return;
      if (file.durable.use_count() > 1) file.durable = std::make_shared<Bytes>(*file.durable);
      for (const Change& change : file.pending) ApplyTo(*file.durable, change);
      file.pending.clear();
      return;
    }
    case Kind::kFailedSync: {
      File& file = files_[op.inode];
      Rng rng(op.offset);
      file.memory = std::make_shared<Bytes>(ContentOf(op.inode));
      file.durable = std::make_shared<Bytes>(PartOf(file, rng));
      file.pending.clear();
      file.torn = true;
      return;
    }
    case Kind::kRename:
      ChangeName({op.path, op.to, names_.at(op.path), true});
      return;
    case Kind::kRemove:
      ChangeName({op.path, {}, {}, true});
      return;
    case Kind::kSyncDirectory:
      std::erase_if(pending_names_, [&](const NameChange& change) {
        if (ParentOf(change.path) != op.path) return false;
        ApplyTo(durable_names_, change);
        return true;
      });
      return;
  }
}

Bytes DiskModel::ContentOf(std::uint64_t inode) const {
  const File& file = files_.at(inode);
  Bytes content = file.torn ? *file.memory : *file.durable;
  for (const Change& change : file.pending) ApplyTo(content, change);
  return content;
}

// A sector is written as a whole, as it is in memory: it holds the first so many of
// the writes to it. How many is drawn in one of three styles, since disks mostly
// write in order, or whole pieces in any order.
Bytes DiskModel::PartOf(const File& file, Rng& rng) {
  Bytes content = *file.durable;
  const std::size_t changes = file.pending.size();
  if (changes == 0) return content;
  const std::uint64_t style = rng() % 3;
  const std::size_t cut = rng() % (changes + 1);
  std::vector<bool> chosen(changes);
  for (std::size_t i = 0; i < changes; ++i) chosen[i] = style == 0 ? i < cut : rng() % 2 == 0;

  std::map<std::uint64_t, std::vector<std::size_t>> writes;  // by sector
  std::uint64_t whole_size = content.size();
  std::uint64_t size = whole_size;
  for (std::size_t i = 0; i < changes; ++i) {
    const Change& change = file.pending[i];
    if (change.bytes == nullptr) {
      whole_size = change.offset;
      if (chosen[i]) size = change.offset;
      continue;
    }
    const std::uint64_t end = change.offset + change.bytes->size();
    whole_size = std::max(whole_size, end);
    for (std::uint64_t s = RoundDown(change.offset); s < end; s += kSectorBytes) {
      writes[s].push_back(i);
    }
  }
  for (const auto& [sector, touching] : writes) {
    std::size_t kept = 0;
    if (style == 2) {
      kept = rng() % (touching.size() + 1);
    } else {
      for (std::size_t n = 0; n < touching.size(); ++n) {
        const bool torn = style == 0 && touching[n] == cut && rng() % 2 == 0;
        if (chosen[touching[n]] || torn) kept = n + 1;
      }
    }
    for (std::size_t n = 0; n < kept; ++n) {
      const Change& change = file.pending[touching[n]];
      const std::uint64_t from = std::max(sector, change.offset);
      const std::uint64_t to =
          std::min(sector + kSectorBytes, change.offset + change.bytes->size());
      if (content.size() < to) content.resize(to);
      std::copy_n(change.bytes->begin() + static_cast<std::ptrdiff_t>(from - change.offset),
                  to - from, content.begin() + static_cast<std::ptrdiff_t>(from));
      size = std::max(size, to);
    }
  }
  // The size goes its own way.
  if (rng() % 4 == 0) size = whole_size;
  content.resize(size);
  return content;
}

DiskModel DiskModel::AfterPowerCut(Rng& rng) const {
  DiskModel after(*this);
  // None, all, the first ones, or any of them.
  const std::uint64_t style = rng() % 4;
  const std::uint64_t cut = rng() % (pending_names_.size() + 1);
  for (std::size_t i = 0; i < pending_names_.size(); ++i) {
    const bool keep = style == 1 || (style == 2 && i < cut) || (style == 3 && rng() % 2 == 0);
    if (keep) ApplyTo(after.durable_names_, pending_names_[i]);
  }
  after.pending_names_.clear();
  // What lies in a directory that has no name is gone with it.
  std::erase_if(after.durable_names_, [&](const auto& name) {
    std::string parent = ParentOf(name.first);
    for (; !parent.empty(); parent = ParentOf(parent)) {
      if (parent == root_) return false;
      if (!after.durable_names_.contains(parent)) return true;
    }
    return false;
  });
  after.names_ = after.durable_names_;
  after.files_.clear();
  for (const auto& [path, entry] : after.names_) {
    if (entry.is_directory) continue;
    const File& file = files_.at(entry.inode);
    File& left = after.files_[entry.inode];
    left.durable = file.pending.empty() ? file.durable : std::make_shared<Bytes>(PartOf(file, rng));
  }
  return after;
}

}  // namespace quarry::sim
