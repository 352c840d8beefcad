# kernels/sums.cc once for each instruction set:
#   quarry_kernels(<isa> <table> <xsimd arch> <flags>...)

find_package(xsimd REQUIRED)
# The package of Debian puts -lxtl on the link line; only headers are needed.
set_target_properties(xsimd PROPERTIES INTERFACE_LINK_LIBRARIES "")

function(quarry_kernels isa table arch)
  add_library(quarry_kernels_${isa} OBJECT ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/sums.cc)
  target_compile_definitions(quarry_kernels_${isa} PRIVATE
    QUARRY_ISA_NAME="${isa}" QUARRY_TABLE=${table} QUARRY_ARCH=${arch})
  # Always optimised, so that no inline function of a header is left behind as a
  # symbol that the linker could share with code meant for an older CPU. Nothing
  # is fused unless the source says so: L2 sums would get other bits.
  # gcc 12 warns, wrongly, inside its own avx512fintrin.h.
  target_compile_options(quarry_kernels_${isa} PRIVATE -O3 -ffp-contract=off ${ARGN}
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-uninitialized>)
  target_link_libraries(quarry_kernels_${isa} PRIVATE
    quarry_format xsimd $<BUILD_INTERFACE:quarry_warnings>)
  set_property(GLOBAL APPEND PROPERTY QUARRY_LAYERS quarry_kernels_${isa})
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  # -march=x86-64 takes back a wider -march that the builder may have set: an
  # object has the instructions that its name says.
  quarry_kernels(baseline kBaseline xsimd::sse2 -march=x86-64)
  quarry_kernels(avx2 kAvx2 xsimd::fma3<xsimd::avx2> -march=x86-64 -mavx2 -mfma -mf16c)
  quarry_kernels(avx512 kAvx512 xsimd::avx512bw -march=x86-64
                 -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mfma -mf16c)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  quarry_kernels(baseline kBaseline xsimd::neon64)
else()
  message(FATAL_ERROR "Quarry has no kernels for ${CMAKE_SYSTEM_PROCESSOR}: "
                      "expected x86_64 or aarch64")
endif()
