// The entry of libFuzzer: QUARRY_FUZZ_TARGET names the target.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/targets.h"

namespace {

const quarry::fuzz::Target* target = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* const name = std::getenv("QUARRY_FUZZ_TARGET");
  for (const quarry::fuzz::Target& one : quarry::fuzz::Targets()) {
    if (name != nullptr && one.name == name) target = &one;
  }
  if (target != nullptr) return 0;
  std::fputs("QUARRY_FUZZ_TARGET has to be one of:\n", stderr);
  for (const quarry::fuzz::Target& one : quarry::fuzz::Targets()) {
    std::fprintf(stderr, "%s\n", one.name.data());
  }
  std::exit(1);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  target->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
