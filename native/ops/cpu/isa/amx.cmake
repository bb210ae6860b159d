# The kernels of AMX, where compiler and assembler know it. Linux only: how another system permits a process to use the
# tiles is not asked (core/cpu_features.cpp).
set(VED_AMX_FLAGS ${VED_AVX512_FLAGS} -mavx512bf16 -mamx-tile -mamx-bf16 -mamx-int8)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  include(CheckCXXSourceCompiles)
  list(JOIN VED_AMX_FLAGS " " CMAKE_REQUIRED_FLAGS)
  check_cxx_source_compiles("
    #include <immintrin.h>
    int main(int, char** argv) {
      _tile_loadconfig(argv);
      _tile_loadd(0, argv, 64);
      _tile_dpbf16ps(1, 0, 2);
      _tile_dpbssd(1, 0, 2);
      _tile_release();
    }" VED_COMPILER_HAS_AMX)
  unset(CMAKE_REQUIRED_FLAGS)
  if(VED_COMPILER_HAS_AMX)
    file(GLOB VED_AMX_SOURCES CONFIGURE_DEPENDS ${VED_ISA_DIR}/*_amx.cpp)
    set_source_files_properties(${VED_AMX_SOURCES} PROPERTIES COMPILE_OPTIONS "${VED_AMX_FLAGS}")
  endif()
endif()
