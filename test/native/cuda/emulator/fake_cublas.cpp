// A stand-in for cuBLASLt: the functions this package uses, by plain loops over the emulator's memory, from nothing but
// the descriptions it is given. It refuses what the real one refuses: wrong sizes of values, epilogues without a bias,
// C and D of different types, workspace or alignment that was not promised.
//   VED_FAKE_CUBLAS=old|future|no-create|no-heuristic|bad-state|matmul-fails
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "core/compute_type.h"
#include "cuda_emulator.h"
#include "ops/cuda/cublas_lt.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace lt = ved::cuda::lt;

namespace ved::cuda::lt {

struct HandleOpaque {
  uint64_t magic = 0xB1A5;
};
struct LayoutOpaque {
  int type;
  uint64_t rows, columns;
  int64_t ld;
};
struct ProductOpaque {
  int compute, scale;
  int32_t transposeA = 0, biasType = -1;
  uint32_t epilogue = kNone;
  const void* bias = nullptr;
};
struct PreferenceOpaque {
  uint64_t workspace = 0;
  uint32_t schemes = 7, alignment[4] = {256, 256, 256, 256};
};

}  // namespace ved::cuda::lt

namespace {

constexpr lt::Status kSuccess = 0, kNotInitialized = 1, kInvalid = 7, kExecutionFailed = 13, kUnsupported = 15;
constexpr uint64_t kMark = 0x5EED;
int64_t products = 0;

bool asked(const char* what) {
  const char* mode = std::getenv("VED_FAKE_CUBLAS");
  return mode && std::string(mode) == what;
}

template <class T>
lt::Status take(T& to, const void* value, size_t bytes) {
  if (!value || bytes != sizeof to) return kInvalid;
  std::memcpy(&to, value, bytes);
  return kSuccess;
}

bool known(int type) { return type == lt::kFloat32 || type == lt::kFloat16 || type == lt::kBFloat16; }

[[maybe_unused]] float load(const void* data, int type, uint64_t at) {
  if (type == lt::kFloat32) return static_cast<const float*>(data)[at];
  const uint16_t bits = static_cast<const uint16_t*>(data)[at];
  return type == lt::kBFloat16 ? ved::bfloat16ToFloat(bits) : ved::float16ToFloat(bits);
}

// Unlike our own kernels, float16 becomes infinite here.
uint16_t halfBits(float value) {
  if (std::isnan(value) || std::fabs(value) < 65520.0f) return ved::float16Bits(value);
  return value > 0 ? 0x7c00 : 0xfc00;
}

[[maybe_unused]] void store(void* data, int type, uint64_t at, float value) {
  if (type == lt::kFloat32)
    static_cast<float*>(data)[at] = value;
  else
    static_cast<uint16_t*>(data)[at] = type == lt::kBFloat16 ? ved::bfloat16Bits(value) : halfBits(value);
}

[[maybe_unused]] float activated(float x, uint32_t epilogue) {
  if (epilogue & lt::kRelu) return x < 0 ? 0.0f : x;
  if (epilogue & lt::kGelu)
    return static_cast<float>(0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * double{x} * x * x))));
  return x;
}

// Whether cuBLASLt would have a kernel for this at all.
bool possible(const lt::ProductOpaque& p, const lt::LayoutOpaque& a, const lt::LayoutOpaque& b,
              const lt::LayoutOpaque& c, const lt::LayoutOpaque& d) {
  const uint32_t activation = p.epilogue & (lt::kRelu | lt::kGelu);
  const bool epilogue = p.epilogue == lt::kNone || (p.epilogue & ~(lt::kBias | lt::kRelu | lt::kGelu)) == 0;
  const bool bias = !(p.epilogue & lt::kBias) || (p.bias && p.biasType == d.type);
  return epilogue && bias && activation != (lt::kRelu | lt::kGelu) && p.compute == lt::kComputeFloat32 &&
         p.scale == lt::kFloat32 && p.transposeA == lt::kTranspose && a.type == b.type && a.type != lt::kFloat32 &&
         c.type == d.type && (d.type == lt::kFloat32 || d.type == a.type) && a.rows == b.rows && a.columns == d.rows &&
         b.columns == d.columns && c.rows == d.rows && c.columns == d.columns && a.ld % 8 == 0 && b.ld % 8 == 0;
}

}  // namespace

EXPORT size_t cublasLtGetVersion() { return asked("old") ? 110401 : asked("future") ? 150000 : 130101; }
EXPORT const char* cublasLtGetStatusName(lt::Status status) {
  return status == kNotInitialized ? "CUBLAS_STATUS_NOT_INITIALIZED" : "CUBLAS_STATUS_OTHER";
}
EXPORT lt::Status cublasLtCreate(lt::Handle* handle) {
  if (asked("no-create")) return kNotInitialized;
  *handle = new lt::HandleOpaque;
  return kSuccess;
}
EXPORT lt::Status cublasLtDestroy(lt::Handle handle) {
  delete handle;
  return kSuccess;
}

EXPORT lt::Status cublasLtMatmulDescCreate(lt::Product* product, int compute, int scale) {
  *product = new lt::ProductOpaque{compute, scale};
  return kSuccess;
}
EXPORT lt::Status cublasLtMatmulDescDestroy(lt::Product product) {
  delete product;
  return kSuccess;
}
EXPORT lt::Status cublasLtMatmulDescSetAttribute(lt::Product p, int attribute, const void* value, size_t bytes) {
  if (attribute == lt::kTransposeA) return take(p->transposeA, value, bytes);
  if (attribute == lt::kEpilogue) return take(p->epilogue, value, bytes);
  if (attribute == lt::kBiasPointer) return take(p->bias, value, bytes);
  if (attribute == lt::kBiasType) return take(p->biasType, value, bytes);
  return kInvalid;
}

EXPORT lt::Status cublasLtMatrixLayoutCreate(lt::Layout* layout, int type, uint64_t rows, uint64_t columns,
                                             int64_t ld) {
  if (!known(type) || rows == 0 || columns == 0 || ld < static_cast<int64_t>(rows)) return kInvalid;
  *layout = new lt::LayoutOpaque{type, rows, columns, ld};
  return kSuccess;
}
EXPORT lt::Status cublasLtMatrixLayoutDestroy(lt::Layout layout) {
  delete layout;
  return kSuccess;
}

EXPORT lt::Status cublasLtMatmulPreferenceCreate(lt::Preference* preference) {
  *preference = new lt::PreferenceOpaque;
  return kSuccess;
}
EXPORT lt::Status cublasLtMatmulPreferenceDestroy(lt::Preference preference) {
  delete preference;
  return kSuccess;
}
EXPORT lt::Status cublasLtMatmulPreferenceSetAttribute(lt::Preference p, int attribute, const void* value,
                                                       size_t bytes) {
  if (attribute == lt::kWorkspaceBytes) return take(p->workspace, value, bytes);
  if (attribute == lt::kReductionSchemes) return take(p->schemes, value, bytes);
  if (attribute >= lt::kAlignmentA && attribute <= lt::kAlignmentD)
    return take(p->alignment[attribute - lt::kAlignmentA], value, bytes);
  return kInvalid;
}

EXPORT lt::Status cublasLtMatmulAlgoGetHeuristic(lt::Handle handle, lt::Product p, lt::Layout a, lt::Layout b,
                                                 lt::Layout c, lt::Layout d, lt::Preference preference, int wanted,
                                                 lt::Candidate* found, int* count) {
  *count = 0;
  if (!handle || handle->magic != 0xB1A5 || wanted < 1 || preference->schemes != 0) return kInvalid;
  if (!possible(*p, *a, *b, *c, *d)) return kUnsupported;
  if (asked("no-heuristic")) return kSuccess;
  *found = {};
  found->algorithm.data[0] = kMark;
  for (int i = 0; i < 4; ++i) found->algorithm.data[1 + i] = preference->alignment[i];
  found->workspaceBytes = preference->workspace / 2;
  found->state = asked("bad-state") ? kUnsupported : kSuccess;
  *count = 1;
  return kSuccess;
}

EXPORT int64_t vedFakeProducts() { return products; }

#if !defined(VED_WITHOUT_MATMUL)
EXPORT lt::Status cublasLtMatmul(lt::Handle handle, lt::Product product, const void* alpha, const void* aData,
                                 lt::Layout aLayout, const void* bData, lt::Layout bLayout, const void* beta,
                                 const void* cData, lt::Layout cLayout, void* dData, lt::Layout dLayout,
                                 const lt::Algorithm* algorithm, void* workspace, size_t workspaceBytes, void* stream) {
  if (asked("matmul-fails")) return kExecutionFailed;
  const lt::ProductOpaque p = *product;
  const lt::LayoutOpaque a = *aLayout, b = *bLayout, c = *cLayout, d = *dLayout;
  if (!handle || !possible(p, a, b, c, d) || algorithm->data[0] != kMark || !workspace || !workspaceBytes)
    return kInvalid;
  const void* data[] = {aData, bData, cData, dData};
  for (int i = 0; i < 4; ++i)
    if (reinterpret_cast<uintptr_t>(data[i]) % algorithm->data[1 + i]) return kInvalid;
  if (cData == dData && c.ld != d.ld) return kInvalid;
  ++products;
  const float scale = *static_cast<const float*>(alpha), addend = *static_cast<const float*>(beta);
  ved::emu::enqueue(static_cast<cudaStream_t>(stream), [=] {
    static_cast<unsigned char*>(workspace)[workspaceBytes - 1] = 1;
    for (uint64_t n = 0; n < d.columns; ++n)
      for (uint64_t m = 0; m < d.rows; ++m) {
        float sum = 0;
        for (uint64_t k = 0; k < a.rows; ++k)
          sum += load(aData, a.type, m * a.ld + k) * load(bData, b.type, n * b.ld + k);
        sum *= scale;
        if (addend != 0) sum += addend * load(cData, c.type, n * c.ld + m);
        if (p.epilogue & lt::kBias) sum += load(p.bias, p.biasType, m);
        store(dData, d.type, n * d.ld + m, activated(sum, p.epilogue));
      }
  });
  return kSuccess;
}
#endif
