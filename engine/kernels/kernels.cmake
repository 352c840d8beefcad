# A source of kernels/ once for each instruction set:
#   quarry_kernels(<source> <isa> <table> <xsimd arch> <flags>...)

find_package(xsimd REQUIRED)
# The package of Debian puts -lxtl on the link line; only headers are needed.
set_target_properties(xsimd PROPERTIES INTERFACE_LINK_LIBRARIES "")

function(quarry_kernels source isa table arch)
  set(target quarry_kernels_${source}_${isa})
  add_library(${target} OBJECT ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${source}.cc)
  target_compile_definitions(${target} PRIVATE
    QUARRY_ISA_NAME="${isa}" QUARRY_TABLE=${table} QUARRY_ARCH=${arch})
  # Always optimised, so that no inline function of a header is left behind as a
  # symbol that the linker could share with code meant for an older CPU. Nothing
  # is fused unless the source says so: L2 sums would get other bits.
  # gcc 12 warns, wrongly, inside its own avx512fintrin.h.
  target_compile_options(${target} PRIVATE -O3 -ffp-contract=off ${ARGN}
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-uninitialized>)
  target_link_libraries(${target} PRIVATE
    quarry_format xsimd $<BUILD_INTERFACE:quarry_warnings>)
  set_property(GLOBAL APPEND PROPERTY QUARRY_LAYERS ${target})
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  # -march=x86-64 takes back a wider -march that the builder may have set: an
  # object has the instructions that its name says.
  set(baseline xsimd::sse2 -march=x86-64)
  set(avx2 xsimd::fma3<xsimd::avx2> -march=x86-64 -mavx2 -mfma -mf16c)
  set(avx512 xsimd::avx512bw -march=x86-64
             -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mfma -mf16c)
  quarry_kernels(sums baseline kBaseline ${baseline})
  quarry_kernels(sums avx2 kAvx2 ${avx2})
  quarry_kernels(sums avx512 kAvx512 ${avx512})
  quarry_kernels(tiles baseline kTilesBaseline ${baseline})
  quarry_kernels(tiles avx2 kTilesAvx2 ${avx2})
  quarry_kernels(tiles avx512 kTilesAvx512 ${avx512})
  quarry_kernels(tiles avx512vnni kTilesAvx512Vnni ${avx512} -mavx512vnni)
  quarry_kernels(estimates baseline kEstimatesBaseline ${baseline})
  quarry_kernels(estimates avx2 kEstimatesAvx2 ${avx2})
  quarry_kernels(estimates avx512 kEstimatesAvx512 ${avx512})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  quarry_kernels(sums baseline kBaseline xsimd::neon64)
  quarry_kernels(tiles baseline kTilesBaseline xsimd::neon64)
  quarry_kernels(estimates baseline kEstimatesBaseline xsimd::neon64)
else()
  message(FATAL_ERROR "Quarry has no kernels for ${CMAKE_SYSTEM_PROCESSOR}: "
                      "expected x86_64 or aarch64")
endif()
