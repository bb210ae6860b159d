// What this machine can do right now, measured beside the kernels: other work on the cores moves both alike.
#pragma once
#include <cstdint>

#include "core/aligned.h"
#include "core/thread_pool.h"
#include "ops/backend.h"

namespace ved::bench {

// Wall time; for single-threaded runs on a shared machine the thread's own processor time, which leaves out the time
// slices that other processes took.
void useProcessorTime(bool on);
double seconds();

class Ceilings {
 public:
  Ceilings(ops::CpuIsa isa, int threads);
  // Multiply-adds on registers only, GFLOP/s (GOP/s for int8) of all threads (one is measured; 0 where there is no loop
  // for the ISA or the processor lacks the type's instruction).
  double gflops(ComputeType type = ComputeType::Float32);
  // Reading memory that no cache holds, GB/s.
  double gbytes();

 private:
  ops::CpuIsa isa_;
  ThreadPool pool_;
  AlignedFloats data_;
};

}  // namespace ved::bench
