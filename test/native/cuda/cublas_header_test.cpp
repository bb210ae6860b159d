// Our declarations of cuBLASLt against its own header, where CMake found one (VED_CUBLAS_INCLUDE names its folder).
#include "harness.h"

#if defined(VED_CUBLAS_HEADER)
#include <cublasLt.h>

#include <type_traits>

#include "ops/cuda/cublas_lt.h"

namespace {

namespace lt = ved::cuda::lt;

static_assert(lt::kFloat32 == CUDA_R_32F && lt::kFloat16 == CUDA_R_16F && lt::kBFloat16 == CUDA_R_16BF);
static_assert(lt::kComputeFloat32 == CUBLAS_COMPUTE_32F && lt::kTranspose == CUBLAS_OP_T);
static_assert(lt::kTransposeA == CUBLASLT_MATMUL_DESC_TRANSA && lt::kEpilogue == CUBLASLT_MATMUL_DESC_EPILOGUE);
static_assert(lt::kBiasPointer == CUBLASLT_MATMUL_DESC_BIAS_POINTER);
static_assert(lt::kBiasType == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE);
static_assert(lt::kNone == CUBLASLT_EPILOGUE_DEFAULT && lt::kBias == CUBLASLT_EPILOGUE_BIAS);
static_assert(lt::kRelu == CUBLASLT_EPILOGUE_RELU && (lt::kRelu | lt::kBias) == CUBLASLT_EPILOGUE_RELU_BIAS);
static_assert(lt::kGelu == CUBLASLT_EPILOGUE_GELU && (lt::kGelu | lt::kBias) == CUBLASLT_EPILOGUE_GELU_BIAS);
static_assert(lt::kWorkspaceBytes == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(lt::kReductionSchemes == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
static_assert(lt::kAlignmentA == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(lt::kAlignmentB == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(lt::kAlignmentC == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(lt::kAlignmentD == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(lt::kUnsplit == CUBLASLT_REDUCTION_SCHEME_NONE && CUBLAS_STATUS_SUCCESS == 0);
static_assert(sizeof(lt::Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(lt::Candidate) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(lt::Candidate, workspaceBytes) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(lt::Candidate, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(offsetof(lt::Candidate, waves) == offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));

// Parameters and results agree when they are of one size and both, or neither, are pointers or whole numbers.
template <class A, class B>
constexpr bool passedAlike =
    sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
    (std::is_integral_v<A> || std::is_enum_v<A>) == (std::is_integral_v<B> || std::is_enum_v<B>);
template <class Ours, class Theirs>
constexpr bool sameShape = false;
template <class R, class... A, class S, class... B>
constexpr bool sameShape<R (*)(A...), S (*)(B...)> = [] {
  if constexpr (sizeof...(A) != sizeof...(B))
    return false;
  else
    return passedAlike<R, S> && (passedAlike<A, B> && ...);
}();

#define SAME(name) static_assert(sameShape<decltype(lt::Functions::name), decltype(&::name)>, #name)
SAME(cublasLtGetVersion);
SAME(cublasLtGetStatusName);
SAME(cublasLtCreate);
SAME(cublasLtDestroy);
SAME(cublasLtMatmulDescCreate);
SAME(cublasLtMatmulDescDestroy);
SAME(cublasLtMatmulDescSetAttribute);
SAME(cublasLtMatrixLayoutCreate);
SAME(cublasLtMatrixLayoutDestroy);
SAME(cublasLtMatmulPreferenceCreate);
SAME(cublasLtMatmulPreferenceDestroy);
SAME(cublasLtMatmulPreferenceSetAttribute);
SAME(cublasLtMatmulAlgoGetHeuristic);
SAME(cublasLtMatmul);

}  // namespace

VED_TEST(cublas_header_agrees) { CHECK(CUBLAS_VER_MAJOR >= 12); }
#else
VED_TEST(cublas_header_agrees) { SKIP("cublasLt.h is not on this machine (VED_CUBLAS_INCLUDE names its folder)"); }
#endif
