#include "tests/sim/sim_store.h"

#include <utility>

namespace quarry::sim {

SimStore::SimStore(DiskModel start) : disk_(std::move(start)), env_(disk_), vfs_(disk_, &env_) {}

SimStore::~SimStore() { Abandon(); }

Status SimStore::Open(bool create) {
  OpenOptions options;
  options.create_if_missing = create;
  options.background = false;  // its thread would do its work at another place each time
  options.slab_bytes = 1u << 20;
  options.catalog_cache_bytes = 1u << 20;
  options.reserve_bytes = reserve_;
  // An opening that fails waits for what it began.
  env_.SetPatience(std::chrono::milliseconds(20));
  auto core = StoreCore::Open(vfs_, std::string(kRoot) + "/store", options);
  env_.SetPatience(std::chrono::milliseconds(1000));
  if (!core.ok()) return core.status();
  core_ = *std::move(core);
  return Status::Ok();
}

Status SimStore::Close() {
  env_.LetRun(true);  // flushes are waited for
  const Status status = core_->Close();
  core_.reset();
  env_.Drain();
  env_.LetRun(false);
  return status;
}

void SimStore::Abandon() {
  env_.LetRun(true);
  core_.reset();
  env_.Drain();
  env_.LetRun(false);
}

std::uint64_t SimStore::sequence() const {
  const auto state = core_->StateFor(nullptr);
  return state.ok() ? (*state)->sequence() : 0;
}

}  // namespace quarry::sim
