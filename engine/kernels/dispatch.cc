#include <array>
#include <cstdlib>
#include <string>

#include "engine/kernels/kernels.h"
#include "engine/kernels/tables.h"

namespace quarry::kernels {
namespace {

struct TableList {
  std::array<const Table*, 3> tables = {&kBaseline};
  std::size_t count = 1;
};

// The support functions of the compiler also ask whether the operating system
// saves the wider registers. Every CPU with AVX2 and FMA has F16C, which clang 14
// cannot ask for.
TableList Detect() {
  TableList list;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx2) list.tables[list.count++] = &kAvx2;
  if (avx512) list.tables[list.count++] = &kAvx512;
#endif
  return list;
}

}  // namespace

std::span<const Table* const> Available() {
  static const TableList list = Detect();
  return {list.tables.data(), list.count};
}

Result<const Table*> Choose(const char* name) {
  if (name == nullptr || *name == '\0') return Available().back();
  std::string names;
  for (const Table* table : Available()) {
    if (std::string_view(name) == table->name) return table;
    names += names.empty() ? "" : ", ";
    names += table->name;
  }
  return Status::InvalidArgument("QUARRY_ISA: this machine runs " + names + "; got \"" + name +
                                 "\"");
}

Result<const Table*> Active() {
  static const Result<const Table*> active = Choose(std::getenv("QUARRY_ISA"));
  return active;
}

const EstimateTable& EstimatesFor([[maybe_unused]] const Table& table) {
#if defined(__x86_64__)
  if (&table == &kAvx2) return kEstimatesAvx2;
  if (&table == &kAvx512) return kEstimatesAvx512;
#endif
  return kEstimatesBaseline;
}

}  // namespace quarry::kernels
