# Every package the library links, by the names that its own code uses.

# RocksDBConfig.cmake appends its find modules to CMAKE_MODULE_PATH; what the
# including project finds afterwards must not depend on that.
set(quarry_saved_module_path "${CMAKE_MODULE_PATH}")
find_package(RocksDB 7.8 CONFIG REQUIRED)
set(CMAKE_MODULE_PATH "${quarry_saved_module_path}")

find_package(FlatBuffers CONFIG REQUIRED)
find_package(roaring CONFIG REQUIRED)
find_package(simdjson CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)  # headers only
find_package(Eigen3 3.3 REQUIRED NO_MODULE)  # headers only
find_package(Threads REQUIRED)

set(QUARRY_DEPENDENCIES RocksDB::rocksdb-shared flatbuffers::flatbuffers_shared roaring::roaring
                        simdjson::simdjson fmt::fmt Threads::Threads)
