// The way to the CUDA library: whatever keeps it from being used is said in one sentence, and nothing crashes.
#include <cstdio>
#include <string>

#include "core/error.h"
#include "op_support.h"
#include "ops/cuda/cuda_backend.h"
#include "variable.h"

using namespace ved;
using namespace ved::test;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const cuda::Library& emulator() {
  if (!emulatedCuda().api) SKIP("the emulator is built on Linux only");
  return emulatedCuda();
}

}  // namespace

VED_TEST(cuda_library_absent_or_foreign) {
  const cuda::Library absent = cuda::openLibrary("/nowhere/libved_cuda.so");
  CHECK(!absent.api && contains(absent.reason, "not part of this installation"));
  const std::string path = "ved-not-a-library.so";
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fputs("not a shared object", file);
  std::fclose(file);
  const cuda::Library foreign = cuda::openLibrary("./" + path);
  CHECK(!foreign.api && contains(foreign.reason, path));
  std::remove(path.c_str());
  const cuda::Report report = cuda::report(absent);
  CHECK(!report.usable && report.devices.empty() && report.reason == absent.reason);
}

VED_TEST(cuda_reasons) {
  const cuda::Library& library = emulator();
  CHECK(cuda::report(library).usable);
  const struct {
    const char *fail, *reason;
  } cases[] = {{"no-driver", "no NVIDIA driver"},
               {"old-driver", "it supports CUDA 12.4, expected 13.0"},
               {"no-device", "no CUDA device"},
               {"old-gpu", "compute capability 7.5, expected 8.0"}};
  for (const auto& c : cases) {
    const Variable fail("VED_EMU_FAIL", c.fail);
    const cuda::Report report = cuda::report(library);
    CHECK(!report.usable);
    CHECK(contains(report.reason, c.reason));
  }
}

VED_TEST(cuda_out_of_memory_leaves_the_backend_usable) {
  const cuda::Library& library = emulator();
  cuda::CudaBackend backend(*library.api, 0);
  {
    const Variable limit("VED_EMU_MEMORY", "1000000");
    try {
      backend.allocate(size_t{1} << 28);
      CHECK(false);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::OutOfMemory && error.code() == "CUDA_OUT_OF_MEMORY");
    }
  }
  float* memory = backend.allocate(4);
  const float values[] = {1, 2, 3, 4};
  float back[4] = {};
  backend.upload(memory, values, 4);
  backend.download(back, memory, 4);
  CHECK(sameBits(values, back, 4));
  backend.release(memory);
}

// The same ops with other contents: first run plainly, then recorded, then replayed.
VED_TEST(cuda_recordings_read_what_is_staged) {
  const cuda::Library& library = emulator();
  cuda::CudaBackend backend(*library.api, 0);
  float* out = backend.allocate(4);
  const float table[] = {10, 20, 30, 40}, positions[] = {1, 2};
  bool replayed = false;
  for (int32_t run = 0; run < 5; ++run) {
    const int32_t ids[] = {run % 4, (run + 1) % 4}, positionIds[] = {run % 2, 0};
    const int32_t *staged = ids, *stagedPositions = positionIds;
    ops::StagedArray arrays[] = {{reinterpret_cast<const void**>(&staged), sizeof ids},
                                 {reinterpret_cast<const void**>(&stagedPositions), sizeof positionIds}};
    backend.stage(arrays);
    const uint64_t key[] = {7, reinterpret_cast<uint64_t>(staged)};
    replayed = backend.replay(key);
    if (!replayed) {
      backend.embedTokens({table, positions, out, staged, stagedPositions, 2, 1, 2.0f, nullptr, 4, 2});
      backend.endRecording();
    }
    float got[2];
    backend.download(got, out, 2);
    for (int i = 0; i < 2; ++i) CHECK_EQ(got[i], 2 * table[ids[i]] + positions[positionIds[i]]);
    CHECK_EQ(replayed, run >= 2);
  }
  CHECK_EQ(backend.graphs(), size_t{1});
  backend.release(out);  // the recording may hold its address
  CHECK_EQ(backend.graphs(), size_t{0});
}
