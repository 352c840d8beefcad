// How near the estimates come to what the machine can do, on one thread.
//
// Machines are shared and noisy: each iteration measures a limit of the machine and the
// kernel in turn, in processor time. What to look at is the median of the ratios.
//   stream   one query, rows from memory; of_bandwidth: against reading the same buffer
//   cache    many queries and 64 rows over and over; of_peak: against the table's f32
//            multiply-adds on registers alone

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/estimates.h"
#include "tests/bench/machine.h"

namespace quarry::kernels {
namespace {

using namespace bench;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kDim = 384;
constexpr std::size_t kRows = 64;  // of a call
constexpr std::size_t kStreamBytes = 400 << 20;
constexpr Level kLevels[] = {Level::kF32, Level::kF16, Level::kF8, Level::kI8};

std::size_t RowBytes(Level level) {
  return kDim * (level == Level::kF32 ? 4 : level == Level::kF16 ? 2 : 1);
}

std::vector<EstimateUnit> RandomQueries(std::size_t n_queries) {
  std::mt19937 rng(2);
  std::normal_distribution<float> normal;
  std::vector<EstimateUnit> queries(n_queries * EstimateStride(kDim) / kEstimateUnit);
  for (std::size_t q = 0; q < n_queries; ++q) {
    float* const query = queries[0].values + q * EstimateStride(kDim);
    std::generate(query, query + kDim, [&] { return normal(rng); });
  }
  return queries;
}

// Codes of ordinary numbers.
Bytes RandomRows(Level level, std::size_t n) {
  Bytes bytes = RandomBytes(n);
  if (level == Level::kF32) {
    for (std::size_t i = 3; i < n; i += 4) bytes[i] = (bytes[i] & 0x80) | 0x3f;
  } else if (level == Level::kF16) {
    for (std::size_t i = 1; i < n; i += 2) bytes[i] &= 0xbf;
  } else if (level == Level::kF8) {
    for (std::size_t i = 0; i < n; ++i) bytes[i] &= 0xbf;
  }
  return bytes;
}

// f32 operations a second on registers, or 0 where no peak is known.
double MeasurePeak(const std::string& table) {
#if defined(__x86_64__)
  constexpr std::size_t kRounds = 200'000;
  double operations = 0;  // of a round
  const double seconds = Time([&] {
    if (table == "baseline") {
      operations = 2 * 6 * 4;
      for (std::size_t i = 0; i < kRounds; ++i) {
        asm volatile(
            ".irp i,0,1,2,3,4,5\n mulps %%xmm15,%%xmm\\i\n.endr\n"
            ".irp i,6,7,8,9,10,11\n addps %%xmm15,%%xmm\\i\n.endr" ::
                : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                  "xmm10", "xmm11");
      }
    } else if (table == "avx2") {
      operations = 2 * 12 * 8;
      for (std::size_t i = 0; i < kRounds; ++i) {
        asm volatile(
            ".irp i,0,1,2,3,4,5,6,7,8,9,10,11\n vfmadd231ps %%ymm15,%%ymm14,%%ymm\\i\n.endr" ::
                : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                  "xmm10", "xmm11");
      }
    } else {
      operations = 2 * 12 * 16;
      for (std::size_t i = 0; i < kRounds; ++i) {
        asm volatile(
            ".irp i,0,1,2,3,4,5,6,7,8,9,10,11\n vfmadd231ps %%zmm15,%%zmm14,%%zmm\\i\n.endr" ::
                : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                  "xmm10", "xmm11");
      }
    }
  });
  ClearUpperHalves();
  return static_cast<double>(kRounds) * operations / seconds;
#else
  return 0;
#endif
}

void Stream(benchmark::State& state, const Table& table, Level level, std::size_t n_queries) {
  const std::size_t row_bytes = RowBytes(level);
  const std::size_t calls = kStreamBytes / (row_bytes * kRows);
  const Bytes rows = RandomRows(level, kStreamBytes);
  const std::vector<EstimateUnit> queries = RandomQueries(n_queries);
  std::vector<float> sums(n_queries * kRows);
  std::vector<double> ratios;
  for ([[maybe_unused]] auto _ : state) {
    const double limit = Time([&] { ReadAll(rows.get(), kStreamBytes); });
    const double seconds = Time([&] {
      for (std::size_t i = 0; i < calls; ++i) {
        EstimatesFor(table).dot[static_cast<std::size_t>(level) - 1](
            queries[0].values, n_queries, EstimateStride(kDim),
            reinterpret_cast<const std::byte*>(rows.get()) + i * kRows * row_bytes, row_bytes,
            kRows, kDim, sums.data(), kRows);
        benchmark::ClobberMemory();
      }
    });
    ratios.push_back(limit / seconds);
    state.SetIterationTime(seconds);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kStreamBytes));
  state.counters["of_bandwidth"] = Median(ratios);
}

void Cache(benchmark::State& state, const Table& table, Level level, std::size_t n_queries) {
  const std::size_t row_bytes = RowBytes(level);
  const Bytes rows = RandomRows(level, row_bytes * kRows);
  const std::vector<EstimateUnit> queries = RandomQueries(n_queries);
  std::vector<float> sums(n_queries * kRows);
  const double operations = 2 * static_cast<double>(n_queries * kRows * kDim);
  const std::size_t calls = 1 + 4096 / n_queries;
  std::vector<double> ratios;
  for ([[maybe_unused]] auto _ : state) {
    const double peak = MeasurePeak(table.name);
    const double seconds = Time([&] {
                             for (std::size_t i = 0; i < calls; ++i) {
                               EstimatesFor(table).dot[static_cast<std::size_t>(level) - 1](
                                   queries[0].values, n_queries, EstimateStride(kDim),
                                   reinterpret_cast<const std::byte*>(rows.get()), row_bytes, kRows,
                                   kDim, sums.data(), kRows);
                               benchmark::ClobberMemory();
                             }
                           }) /
                           static_cast<double>(calls);
    if (peak > 0) ratios.push_back(operations / seconds / peak);
    state.SetIterationTime(seconds);
  }
  if (!ratios.empty()) state.counters["of_peak"] = Median(ratios);
}

using Benchmark = void (*)(benchmark::State&, const Table&, Level, std::size_t);

void Register(const std::string& kind, Benchmark run, const Table& table, Level level,
              std::size_t n_queries, int iterations) {
  const std::string name = kind + "/" + table.name + "/" + std::string(ToString(level)) +
                           "/queries:" + std::to_string(n_queries);
  benchmark::RegisterBenchmark(
      name.c_str(), [=, &table](benchmark::State& state) { run(state, table, level, n_queries); })
      ->UseManualTime()
      ->Iterations(iterations)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace quarry::kernels

int main(int argc, char** argv) {
  using namespace quarry::kernels;  // NOLINT(google-build-using-namespace)
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const Table* table : Available()) {
    for (const quarry::Level level : kLevels) {
      for (const std::size_t n : std::vector<std::size_t>{1, 2, 4})
        Register("stream", Stream, *table, level, n, 11);
      for (const std::size_t n : std::vector<std::size_t>{1, 2, 6, 24, 96})
        Register("cache", Cache, *table, level, n, 51);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
