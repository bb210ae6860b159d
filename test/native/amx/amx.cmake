# The kernels of AMX compiled a second time, over tiles in software. They run where AVX-512 with BF16 does.
if(VED_ARCH STREQUAL "x86_64" AND NOT MSVC)
  set(VED_AMX_TESTS test/native/amx)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/${VED_AMX_TESTS}/bf16_emulated.cpp
    ${CMAKE_SOURCE_DIR}/${VED_AMX_TESTS}/int8_emulated.cpp
    PROPERTIES COMPILE_OPTIONS "${VED_AVX512_FLAGS};-mavx512bf16")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/${VED_AMX_TESTS}/tile_dot.cpp
    PROPERTIES COMPILE_OPTIONS "${VED_AVX2_FLAGS}")
  target_compile_definitions(ved_tests PRIVATE VED_AMX_EMULATOR)
endif()
