// How near the tile kernels come to what the machine can do, on one thread.
//
// Machines are shared and noisy: each iteration measures a limit of the machine
// and the kernel in turn, in processor time. What to look at is the median of the
// ratios of the two.
//   stream   tiles from memory; of_bandwidth: against reading the same buffer
//   cache    one tile over and over; of_peak: against the table's multiply
//            instruction on registers alone
//   select   rows that survive: none, 1 or 8 of 64

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "engine/kernels/tiles.h"
#include "tests/bench/machine.h"

namespace quarry::kernels {
namespace {

using namespace bench;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kGroups = 96;  // 384 dimensions
constexpr std::size_t kTileBytes = kGroups * kTileRows * 4;
constexpr std::size_t kTiles = 17'000;  // 418 MB, more than any cache

std::vector<std::int8_t> RandomQueries(std::size_t n_queries) {
  std::mt19937 rng(2);
  std::vector<std::int8_t> queries(n_queries * kGroups * 4);
  for (std::int8_t& code : queries)
    code = static_cast<std::int8_t>(static_cast<int>(rng() % 255) - 127);
  return queries;
}

// Twelve of a table's multiply instructions, which wait for nothing but themselves.
struct Peak {
  const char* table;
  double operations;  // of one instruction: a product and an addition for each byte of a row
  void (*run)();
};

#if defined(__x86_64__)
constexpr Peak kPeaks[] = {
    {"baseline", 16,
     [] {
       asm volatile(".irp i,0,1,2,3,4,5,6,7,8,9,10,11\n pmaddwd %%xmm15,%%xmm\\i\n.endr" ::
                        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                          "xmm9", "xmm10", "xmm11");
     }},
    {"avx2", 32,
     [] {
       asm volatile(".irp i,0,1,2,3,4,5,6,7,8,9,10,11\n vpmaddwd %%ymm15,%%ymm14,%%ymm\\i\n.endr" ::
                        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                          "xmm9", "xmm10", "xmm11");
     }},
    {"avx512", 64,
     [] {
       asm volatile(".irp i,0,1,2,3,4,5,6,7,8,9,10,11\n vpmaddwd %%zmm15,%%zmm14,%%zmm\\i\n.endr" ::
                        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                          "xmm9", "xmm10", "xmm11");
     }},
    {"avx512vnni", 128,
     [] {
       asm volatile(".irp i,0,1,2,3,4,5,6,7,8,9,10,11\n vpdpbusd %%zmm15,%%zmm14,%%zmm\\i\n.endr" ::
                        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                          "xmm9", "xmm10", "xmm11");
     }},
};
#else
constexpr Peak kPeaks[] = {{"", 0, nullptr}};
#endif

// Operations a second, or 0 where no peak is known.
double MeasurePeak(const TileTable& table) {
  constexpr std::size_t kRounds = 200'000;
  for (const Peak& peak : kPeaks) {
    if (std::string(peak.table) != table.name) continue;
    const double seconds = Time([&] {
      for (std::size_t i = 0; i < kRounds; ++i) peak.run();
    });
    ClearUpperHalves();
    return static_cast<double>(kRounds) * 12 * peak.operations / seconds;
  }
  return 0;
}

void Stream(benchmark::State& state, const TileTable& table, std::size_t n_queries) {
  static const Bytes tiles = RandomBytes(kTiles * kTileBytes);
  const std::vector<std::int8_t> queries = RandomQueries(n_queries);
  std::vector<std::int32_t> sums(n_queries * kTileRows);
  std::vector<double> ratios;
  for ([[maybe_unused]] auto _ : state) {
    const double limit = Time([&] { ReadAll(tiles.get(), kTiles * kTileBytes); });
    const double seconds = Time([&] {
      for (std::size_t t = 0; t < kTiles; ++t) {
        table.sums(queries.data(), n_queries, kGroups * 4, tiles.get() + t * kTileBytes, kGroups,
                   sums.data());
        benchmark::ClobberMemory();
      }
    });
    ratios.push_back(limit / seconds);
    state.SetIterationTime(seconds);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kTiles * kTileBytes));
  state.counters["of_bandwidth"] = Median(ratios);
}

void Cache(benchmark::State& state, const TileTable& table, std::size_t n_queries) {
  const Bytes tile = RandomBytes(kTileBytes);
  const std::vector<std::int8_t> queries = RandomQueries(n_queries);
  std::vector<std::int32_t> sums(n_queries * kTileRows);
  const double operations = 2 * static_cast<double>(n_queries * kTileBytes);
  const std::size_t calls = 1 + 4096 / n_queries;
  std::vector<double> ratios;
  for ([[maybe_unused]] auto _ : state) {
    const double peak = MeasurePeak(table);
    const double seconds =
        Time([&] {
          for (std::size_t i = 0; i < calls; ++i) {
            table.sums(queries.data(), n_queries, kGroups * 4, tile.get(), kGroups, sums.data());
            benchmark::ClobberMemory();
          }
        }) /
        static_cast<double>(calls);
    if (peak > 0) ratios.push_back(operations / seconds / peak);
    state.SetIterationTime(seconds);
  }
  if (!ratios.empty()) state.counters["of_peak"] = Median(ratios);
}

void Select(benchmark::State& state, const TileTable& table, bool two_bytes,
            std::size_t survivors) {
  std::vector<std::int32_t> high(kTileRows, 1000), low(kTileRows, 10);
  for (std::size_t i = 0; i < survivors; ++i) high[i * kTileRows / survivors] = 2000;
  const std::vector<float> ones(kTileRows, 1);
  const TileTerms terms = {ones.data(), ones.data(), ones.data(), ones.data(), ones.data()};
  const QueryTerms query = {.scale = 1, .a = 1, .b = 1, .high_offset = 100, .low_offset = 100};
  const float threshold = two_bytes ? 128 * 1500.0f : 1500.0f;
  Survivor out[kTileRows];
  std::size_t n = 0;
  for ([[maybe_unused]] auto _ : state) {
    n = table.select(high.data(), two_bytes ? low.data() : nullptr, query, terms, ~std::uint64_t{0},
                     threshold, out);
    benchmark::ClobberMemory();
  }
  if (n != survivors) state.SkipWithError("another number of rows survived");
}

void Register(const TileTable& table) {
  const std::string name = table.name;
  for (const std::size_t n : std::vector<std::size_t>{1, 2, 4, 6}) {
    benchmark::RegisterBenchmark(("stream/" + name + "/queries:" + std::to_string(n)).c_str(),
                                 [&table, n](benchmark::State& state) { Stream(state, table, n); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
  for (const std::size_t n : std::vector<std::size_t>{1, 2, 6, 12, 24, 256}) {
    benchmark::RegisterBenchmark(("cache/" + name + "/queries:" + std::to_string(n)).c_str(),
                                 [&table, n](benchmark::State& state) { Cache(state, table, n); })
        ->UseManualTime()
        ->Iterations(200)
        ->Unit(benchmark::kMicrosecond);
  }
  for (const bool two_bytes : {false, true}) {
    for (const std::size_t n : std::vector<std::size_t>{0, 1, 8}) {
      benchmark::RegisterBenchmark(
          ("select/" + name + (two_bytes ? "/two_bytes" : "/one_byte") +
           "/survivors:" + std::to_string(n))
              .c_str(),
          [&table, two_bytes, n](benchmark::State& state) { Select(state, table, two_bytes, n); });
    }
  }
}

}  // namespace
}  // namespace quarry::kernels

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const auto* table : quarry::kernels::AvailableTiles()) quarry::kernels::Register(*table);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
