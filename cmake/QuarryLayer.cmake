# quarry_layer(<name> SOURCES ... [DEPENDS ...] [PRIVATE ...]): one of the four
# layers as an object library quarry_<name>, collected into the library quarry.

add_library(quarry_warnings INTERFACE)
target_compile_options(quarry_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
# At -O3, g++ 12 warns, wrongly, about inlined operations of std::string and
# std::vector (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651 and its like).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(quarry_warnings INTERFACE -Wno-restrict -Wno-array-bounds)
endif()
if(QUARRY_WERROR)
  target_compile_options(quarry_warnings INTERFACE -Werror)
endif()
# Canonical scores must have the same bits everywhere: no fused operations that
# the source does not ask for.
add_compile_options(-ffp-contract=off)
if(QUARRY_SANITIZE)
  add_compile_options(-fsanitize=${QUARRY_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QUARRY_SANITIZE})
endif()
if(QUARRY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# quarry_precompile(<target> <header>...): with QUARRY_PRECOMPILE, these and the
# common standard headers are read once for all sources of the target.
function(quarry_precompile target)
  # ccache would share nothing that was compiled with them.
  if(QUARRY_PRECOMPILE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    target_precompile_headers(${target} PRIVATE
      <algorithm> <array> <chrono> <cmath> <filesystem> <functional> <limits> <map> <memory> <mutex>
      <optional> <set> <span> <string> <string_view> <thread> <utility> <vector> ${ARGN})
  endif()
endfunction()

function(quarry_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(quarry_${name} OBJECT ${ARG_SOURCES})
  target_include_directories(quarry_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  if(IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include)
    target_include_directories(quarry_${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)
  endif()
  target_link_libraries(quarry_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE}
                        $<BUILD_INTERFACE:quarry_warnings>)
  quarry_precompile(quarry_${name})
  set_property(GLOBAL APPEND PROPERTY QUARRY_LAYERS quarry_${name})
endfunction()
