# The CUDA library: a shared object of its own, which the addon opens on demand. It needs no driver to load: the CUDA
# runtime is linked in statically and looks for the driver when it is first asked.
set(VED_CUDA_DIR ${CMAKE_CURRENT_LIST_DIR})
file(GLOB VED_CUDA_SOURCES CONFIGURE_DEPENDS ${VED_CUDA_DIR}/kernels/*.cu)

if(NOT VED_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "VED_CUDA: expected AUTO, ON or OFF, got '${VED_CUDA}'")
endif()
if(VED_CUDA STREQUAL "OFF" OR VED_SANITIZE)
  return()
endif()

include(CheckLanguage)
set(CMAKE_CUDA_ARCHITECTURES ${VED_CUDA_ARCHITECTURES})  # before the language is enabled: it is not guessed then
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  if(VED_CUDA STREQUAL "ON")
    message(FATAL_ERROR "VED_CUDA=ON: no CUDA compiler found; put nvcc on PATH or set CUDACXX")
  endif()
  message(STATUS "No CUDA compiler found: building without the CUDA library")
  return()
endif()
enable_language(CUDA)
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  # CMake up to 3.25.1 knows no C++20 of nvcc's, which has had it since 12.0.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()

add_library(ved_cuda SHARED ${VED_CUDA_SOURCES})
set_target_properties(ved_cuda PROPERTIES
  CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static
  CUDA_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${VED_OUT} RUNTIME_OUTPUT_DIRECTORY ${VED_OUT})
target_include_directories(ved_cuda PRIVATE native)
target_compile_definitions(ved_cuda PRIVATE VED_VERSION="${VED_VERSION}")
# --compress-mode: the library is shipped; code of one architecture is unpacked when it is loaded.
target_compile_options(ved_cuda PRIVATE --compress-mode=size -Xptxas=-v
  $<$<BOOL:${VED_WERROR}>:-Werror=all-warnings>)
target_link_libraries(ved_cuda PRIVATE ${CMAKE_DL_LIBS})
if(UNIX AND NOT APPLE)
  target_link_options(ved_cuda PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,nodelete)
endif()
