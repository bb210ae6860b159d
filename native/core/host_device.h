// Functions that kernels on a device share with the host.
#pragma once

#if defined(__CUDACC__)
#define VED_HOST_DEVICE __host__ __device__
#else
#define VED_HOST_DEVICE
#endif
