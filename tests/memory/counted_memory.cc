#include "tests/memory/counted_memory.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> live_bytes = 0;
std::atomic<std::size_t> peak_bytes = 0;

thread_local std::size_t failing_bytes = 0;  // 0: no size fails
thread_local int spared_calls = 0;
thread_local int failures_so_far = 0;

void* Allocated(std::size_t bytes) {
  if (bytes == failing_bytes && bytes != 0 && spared_calls-- <= 0) {
    ++failures_so_far;
    return nullptr;
  }
  return std::malloc(std::max<std::size_t>(1, bytes));
}

void* Counted(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t live = live_bytes += ::malloc_usable_size(block);
  std::size_t peak = peak_bytes;
  while (peak < live && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
  return block;
}

void Freed(void* block) {
  if (block == nullptr) return;
  live_bytes -= ::malloc_usable_size(block);
  std::free(block);
}

}  // namespace

namespace quarry::testing_support {

std::size_t LiveBytes() { return live_bytes; }
std::size_t PeakBytes() { return peak_bytes; }
void ResetPeak() { peak_bytes = live_bytes.load(); }

NoMemoryFor::NoMemoryFor(std::size_t bytes, int spared) {
  failing_bytes = bytes;
  spared_calls = spared;
  failures_so_far = 0;
}
NoMemoryFor::~NoMemoryFor() { failing_bytes = 0; }
int NoMemoryFor::failures() const { return failures_so_far; }

}  // namespace quarry::testing_support

// The other forms of new and delete call these.
void* operator new(std::size_t bytes) { return Counted(Allocated(bytes)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  return Counted(std::aligned_alloc(align, (bytes + align - 1) / align * align));
}
void operator delete(void* block) noexcept { Freed(block); }
void operator delete(void* block, std::size_t) noexcept { Freed(block); }
void operator delete(void* block, std::align_val_t) noexcept { Freed(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { Freed(block); }
