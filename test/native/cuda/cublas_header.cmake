# cublasLt.h of a toolkit, of VED_CUBLAS_INCLUDE or of an nvidia-cublas wheel, and the CUDA headers it includes.
file(GLOB VED_CUBLAS_WHEELS /usr/local/lib/python3*/*-packages/nvidia/*/include $ENV{VIRTUAL_ENV}/lib/python3*/site-packages/nvidia/*/include)
find_path(VED_CUBLAS_HEADER_DIR cublasLt.h NO_CACHE
  PATHS $ENV{VED_CUBLAS_INCLUDE} $ENV{CUDA_HOME}/include /usr/local/cuda/include ${VED_CUBLAS_WHEELS} NO_DEFAULT_PATH)
find_path(VED_CUDA_HEADER_DIR cuda_runtime_api.h NO_CACHE
  PATHS $ENV{CUDA_HOME}/include /usr/local/cuda/include ${VED_CUBLAS_WHEELS} NO_DEFAULT_PATH)
if(VED_CUBLAS_HEADER_DIR AND VED_CUDA_HEADER_DIR)
  set_source_files_properties(test/native/cuda/cublas_header_test.cpp PROPERTIES
    COMPILE_DEFINITIONS VED_CUBLAS_HEADER INCLUDE_DIRECTORIES "${VED_CUBLAS_HEADER_DIR};${VED_CUDA_HEADER_DIR}")
endif()
