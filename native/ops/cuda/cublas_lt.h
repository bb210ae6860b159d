// What this package uses of cuBLASLt: its C interface as NVIDIA documents it (cuBLAS 12 and 13), declared here because
// the library is opened at run time and its headers need not be there. Where they are, a test compares the two.
#pragma once
#include <cstddef>
#include <cstdint>

namespace ved::cuda::lt {

using Status = int;  // cublasStatus_t; 0 is success
using Handle = struct HandleOpaque*;
using Product = struct ProductOpaque*;        // cublasLtMatmulDesc_t
using Layout = struct LayoutOpaque*;          // cublasLtMatrixLayout_t
using Preference = struct PreferenceOpaque*;  // cublasLtMatmulPreference_t

// cudaDataType_t
constexpr int kFloat32 = 0, kFloat16 = 2, kBFloat16 = 14;
// cublasComputeType_t: float32 sums, and no TF32 for factors in float32
constexpr int kComputeFloat32 = 68;
// cublasOperation_t
constexpr int32_t kTranspose = 1;
// cublasLtMatmulDescAttributes_t
constexpr int kTransposeA = 3, kEpilogue = 7, kBiasPointer = 8, kBiasType = 26;
// cublasLtEpilogue_t. Gelu is the tanh form.
constexpr uint32_t kNone = 1, kRelu = 2, kBias = 4, kGelu = 32;
// cublasLtMatmulPreferenceAttributes_t
constexpr int kWorkspaceBytes = 1, kReductionSchemes = 3, kAlignmentA = 5, kAlignmentB = 6, kAlignmentC = 7,
              kAlignmentD = 8;
// cublasLtReductionScheme_t: every sum in one sequence, none split and added up later
constexpr uint32_t kUnsplit = 0;

struct Algorithm {
  uint64_t data[8];
};
struct Candidate {  // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  size_t workspaceBytes;
  Status state;
  float waves;
  int reserved[4];
};

// The entry points by their names. Enumerations are passed as int, streams as pointers.
struct Functions {
  size_t (*cublasLtGetVersion)();
  const char* (*cublasLtGetStatusName)(Status);
  Status (*cublasLtCreate)(Handle*);
  Status (*cublasLtDestroy)(Handle);
  Status (*cublasLtMatmulDescCreate)(Product*, int compute, int scaleType);
  Status (*cublasLtMatmulDescDestroy)(Product);
  Status (*cublasLtMatmulDescSetAttribute)(Product, int attribute, const void* value, size_t bytes);
  Status (*cublasLtMatrixLayoutCreate)(Layout*, int type, uint64_t rows, uint64_t columns, int64_t ld);
  Status (*cublasLtMatrixLayoutDestroy)(Layout);
  Status (*cublasLtMatmulPreferenceCreate)(Preference*);
  Status (*cublasLtMatmulPreferenceDestroy)(Preference);
  Status (*cublasLtMatmulPreferenceSetAttribute)(Preference, int attribute, const void* value, size_t bytes);
  Status (*cublasLtMatmulAlgoGetHeuristic)(Handle, Product, Layout a, Layout b, Layout c, Layout d, Preference,
                                           int wanted, Candidate* found, int* count);
  // d = epilogue(alpha op(a) op(b) + beta c), all stored by columns
  Status (*cublasLtMatmul)(Handle, Product, const void* alpha, const void* a, Layout, const void* b, Layout,
                           const void* beta, const void* c, Layout, void* d, Layout, const Algorithm*, void* workspace,
                           size_t workspaceBytes, void* stream);
};

// Calls visit(name, function pointer) for each entry point.
template <class Visit>
void forEachFunction(Functions& f, Visit visit) {
  visit("cublasLtGetVersion", f.cublasLtGetVersion);
  visit("cublasLtGetStatusName", f.cublasLtGetStatusName);
  visit("cublasLtCreate", f.cublasLtCreate);
  visit("cublasLtDestroy", f.cublasLtDestroy);
  visit("cublasLtMatmulDescCreate", f.cublasLtMatmulDescCreate);
  visit("cublasLtMatmulDescDestroy", f.cublasLtMatmulDescDestroy);
  visit("cublasLtMatmulDescSetAttribute", f.cublasLtMatmulDescSetAttribute);
  visit("cublasLtMatrixLayoutCreate", f.cublasLtMatrixLayoutCreate);
  visit("cublasLtMatrixLayoutDestroy", f.cublasLtMatrixLayoutDestroy);
  visit("cublasLtMatmulPreferenceCreate", f.cublasLtMatmulPreferenceCreate);
  visit("cublasLtMatmulPreferenceDestroy", f.cublasLtMatmulPreferenceDestroy);
  visit("cublasLtMatmulPreferenceSetAttribute", f.cublasLtMatmulPreferenceSetAttribute);
  visit("cublasLtMatmulAlgoGetHeuristic", f.cublasLtMatmulAlgoGetHeuristic);
  visit("cublasLtMatmul", f.cublasLtMatmul);
}

// major * 10000 + minor * 100 + patch
constexpr size_t kOldestVersion = 120000, kNewerThanKnown = 140000;

}  // namespace ved::cuda::lt
