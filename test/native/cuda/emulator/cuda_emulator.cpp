#include "cuda_emulator.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace ved::emu {

struct Graph {
  std::vector<std::function<void()>> work;
};
std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

constexpr int kLeastPriority = 0, kGreatestPriority = -5;

struct Stream {
  explicit Stream(int priority) : urgent(priority < kLeastPriority) {}
  Graph* capturing = nullptr;
  const bool urgent;
  const std::string mode = variable("VED_EMU_LAZY");
  const bool lazy = mode == "1" || mode == (urgent ? "urgent" : "beside");
  const bool unheard = !urgent && variable("VED_EMU_DEAF") == "host";
  const bool deaf = !urgent && variable("VED_EMU_DEAF") == "stream";
  std::deque<std::function<void()>> waiting;
  uint64_t submitted = 0;  // those that wait included
};
struct Event {
  Stream* stream = nullptr;
  uint64_t at = 0;  // what was submitted before it
};

namespace {

constexpr size_t kStack = 256 * 1024;
constexpr size_t kLaneBytes = 64;

// --- switching between the scheduler and a fiber -----------------------------------------------------------------
#if defined(__x86_64__)
struct Context {
  void* sp = nullptr;
};
// Saves what the System V ABI asks a callee to keep; the rest is the compiler's business at the call.
extern "C" void vedEmuSwitch(void** save, void* load);
__asm__(
    ".text\n.globl vedEmuSwitch\n.hidden vedEmuSwitch\nvedEmuSwitch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
void switchContext(Context& from, Context& to) { vedEmuSwitch(&from.sp, to.sp); }
void makeContext(Context& c, unsigned char* stack, void (*entry)()) {
  auto* top = reinterpret_cast<void**>(stack + kStack);
  *--top = nullptr;  // return address of entry, and the alignment a call leaves
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  c.sp = top;
}
#else
struct Context {
  ucontext_t value;
};
void switchContext(Context& from, Context& to) { swapcontext(&from.value, &to.value); }
void makeContext(Context& c, unsigned char* stack, void (*entry)()) {
  getcontext(&c.value);
  c.value.uc_stack.ss_sp = stack;
  c.value.uc_stack.ss_size = kStack;
  c.value.uc_link = nullptr;
  makecontext(&c.value, entry, 0);
}
#endif

enum class State : uint8_t { Ready, AtBlock, AtWarp, Done };

struct Copy {
  void* to;
  const void* from;
  unsigned bytes, valid, group;
};

struct Fiber {
  Context context;
  std::unique_ptr<unsigned char[]> stack;
  State state = State::Done;
  unsigned waitMask = 0;
  unsigned exchanges = 0;  // parity picks the buffer: nobody can be two exchanges ahead
  unsigned group = 0;
  std::vector<Copy> copies;
  Place place{};
};

struct Warp {
  alignas(16) unsigned char lanes[2][32 * kLaneBytes];
  uint64_t words[2][32];
};

struct Machine {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::vector<unsigned char> storage;
  unsigned char* shared = nullptr;
  Context scheduler;
  unsigned current = 0, threads = 0;
  const std::function<void()>* body = nullptr;
  const void* schedulerStack = nullptr;
  size_t schedulerStackSize = 0;
};

thread_local Machine machine;

void enterFiber(Fiber& f) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, f.stack.get(), kStack);
#endif
  switchContext(machine.scheduler, f.context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void leaveFiber(State state) {
  Fiber& f = machine.fibers[machine.current];
  f.state = state;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(state == State::Done ? nullptr : &fake, machine.schedulerStack,
                                 machine.schedulerStackSize);
#endif
  switchContext(f.context, machine.scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, &machine.schedulerStack, &machine.schedulerStackSize);
#endif
}

void fiberMain() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &machine.schedulerStack, &machine.schedulerStackSize);
#endif
  (*machine.body)();
  leaveFiber(State::Done);
}

bool reversed() {
  static const bool value = [] {
    const char* order = std::getenv("VED_EMU_ORDER");
    return order && std::string(order) == "reverse";
  }();
  return value;
}

unsigned ordered(unsigned i, unsigned n) { return reversed() ? n - 1 - i : i; }

// Lanes at a warp operation go on together, once every lane that the mask names is there.
bool releaseWarp(unsigned first) {
  unsigned waiting = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (machine.fibers[first + lane].state == State::AtWarp) waiting |= 1u << lane;
  bool released = false;
  for (unsigned lane = 0; lane < 32; ++lane) {
    Fiber& f = machine.fibers[first + lane];
    if (f.state != State::AtWarp) continue;
    if (!(f.waitMask >> lane & 1)) throw std::runtime_error("a lane is not in the mask of its own warp operation");
    if ((waiting & f.waitMask) != f.waitMask) continue;
    f.state = State::Ready;
    released = true;
  }
  return released;
}

void runWarp(unsigned first) {
  do {
    for (unsigned i = 0; i < 32; ++i) {
      machine.current = first + ordered(i, 32);
      Fiber& f = machine.fibers[machine.current];
      if (f.state == State::Ready) enterFiber(f);
    }
  } while (releaseWarp(first));
}

void runBlock() {
  const unsigned threads = machine.threads, warps = threads / 32;
  for (;;) {
    for (unsigned w = 0; w < warps; ++w) runWarp(ordered(w, warps) * 32);
    unsigned done = 0, waiting = 0;
    for (unsigned t = 0; t < threads; ++t) {
      done += machine.fibers[t].state == State::Done;
      waiting += machine.fibers[t].state == State::AtBlock;
    }
    if (done == threads) return;
    if (waiting != threads) throw std::runtime_error("some threads wait at a barrier that others never reach");
    for (unsigned t = 0; t < threads; ++t) machine.fibers[t].state = State::Ready;
  }
}

void prepareFibers(unsigned threads) {
  machine.threads = threads;
  machine.warps.resize(threads / 32);
  if (machine.fibers.size() < threads) machine.fibers.resize(threads);  // stacks are kept for the next launch
  for (unsigned t = 0; t < threads; ++t) {
    Fiber& f = machine.fibers[t];
    if (!f.stack) f.stack.reset(new unsigned char[kStack]);  // not zeroed: only what runs is touched
    f.state = State::Ready;
    f.copies.clear();
    f.group = f.exchanges = 0;
    makeContext(f.context, f.stack.get(), fiberMain);
  }
}

// --- device memory: one region, which the host cannot touch between launches when VED_EMU_PROTECT is set
// --------------
constexpr size_t kHeap = size_t{8} << 30, kPage = 4096;

struct Heap {
  const bool protect = std::getenv("VED_EMU_PROTECT") != nullptr;
  unsigned char* base = nullptr;
  size_t top = 0, used = 0;
  std::map<size_t, size_t> free, taken;  // offset -> size
  Heap() {
    void* p = mmap(nullptr, kHeap, protect ? PROT_NONE : PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    base = p == MAP_FAILED ? nullptr : static_cast<unsigned char*>(p);
  }
  bool contains(const void* p) const { return p >= base && p < base + kHeap; }
  void open(bool on) const {
    if (protect && top) mprotect(base, top, on ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
};

// One device: engines on several threads take turns.
std::recursive_mutex& turn() {
  static std::recursive_mutex value;
  return value;
}

Heap& heap() {
  static Heap value;
  return value;
}

thread_local cudaError_t lastError = cudaSuccess;
std::string failure() {
  const char* text = std::getenv("VED_EMU_FAIL");
  return text ? text : "";
}

void submit(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard<std::recursive_mutex> lock(turn());
  if (stream->capturing) {
    stream->capturing->work.push_back(std::move(work));
    return;
  }
  ++stream->submitted;
  if (stream->lazy)
    stream->waiting.push_back(std::move(work));
  else
    work();
}

std::set<cudaStream_t>& streams() {
  static std::set<cudaStream_t> value;
  return value;
}

// Everything up to the given number.
void finish(cudaStream_t stream, uint64_t until) {
  const std::lock_guard<std::recursive_mutex> lock(turn());
  while (stream->submitted - stream->waiting.size() < until && !stream->waiting.empty()) {
    const std::function<void()> work = std::move(stream->waiting.front());
    stream->waiting.pop_front();
    work();
  }
}

// Blocks of page-locked memory: copies of other host memory do not wait for the device.
std::map<const unsigned char*, size_t>& pinned() {
  static std::map<const unsigned char*, size_t> value;
  return value;
}

bool isPinned(const void* p) {
  const std::lock_guard<std::recursive_mutex> lock(turn());
  auto after = pinned().upper_bound(static_cast<const unsigned char*>(p));
  if (after == pinned().begin()) return false;
  --after;
  return static_cast<const unsigned char*>(p) < after->first + after->second;
}

void runKernel(dim3 grid, dim3 block, size_t shared, const std::function<void()>& body) {
  machine.body = &body;
  const unsigned threads = block.x * block.y * block.z, blocks = grid.x * grid.y * grid.z;
  for (unsigned i = 0; i < blocks; ++i) {
    const unsigned b = ordered(i, blocks);
    machine.storage = {};
    // Exactly what the launch asked for, and NaN everywhere: nothing may rely on what another block left.
    machine.storage.assign(shared + 16, 0xFF);
    machine.storage.shrink_to_fit();
    machine.shared = machine.storage.data() + (16 - reinterpret_cast<uintptr_t>(machine.storage.data()) % 16) % 16;
    prepareFibers(threads);
    for (unsigned t = 0; t < threads; ++t)
      machine.fibers[t].place = {{t % block.x, t / block.x % block.y, t / block.x / block.y},
                                 {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y},
                                 block,
                                 grid};
    runBlock();
  }
}

}  // namespace

const Place& place() { return machine.fibers[machine.current].place; }
unsigned char* sharedMemory() { return machine.shared; }
unsigned laneId() { return machine.current % 32; }
void blockBarrier() { leaveFiber(State::AtBlock); }
void warpBarrier(unsigned mask) {
  machine.fibers[machine.current].waitMask = mask;
  leaveFiber(State::AtWarp);
}

const uint64_t* exchange(unsigned mask, uint64_t word) {
  Fiber& f = machine.fibers[machine.current];
  uint64_t* words = machine.warps[machine.current / 32].words[f.exchanges++ % 2];
  words[machine.current % 32] = word;
  warpBarrier(mask);
  return words;
}

const unsigned char* exchangeBytes(const void* data, size_t bytes) {
  Fiber& f = machine.fibers[machine.current];
  unsigned char* lanes = machine.warps[machine.current / 32].lanes[f.exchanges++ % 2];
  std::memcpy(lanes + machine.current % 32 * kLaneBytes, data, bytes);
  warpBarrier(0xffffffffu);
  return lanes;
}

// Performed as late as the program allows: data that is used without waiting for it is still poison.
void copyAsync(void* to, const void* from, unsigned bytes, unsigned valid) {
  Fiber& f = machine.fibers[machine.current];
  f.copies.push_back({to, from, bytes, valid, f.group});
}
void commitAsync() { ++machine.fibers[machine.current].group; }
void waitAsync(unsigned pending) {
  Fiber& f = machine.fibers[machine.current];
  std::vector<Copy> rest;
  for (const Copy& c : f.copies) {
    if (c.group + pending >= f.group) {
      rest.push_back(c);
      continue;
    }
    std::memset(c.to, 0, c.bytes);
    if (c.valid) std::memcpy(c.to, c.from, c.valid);
  }
  f.copies = std::move(rest);
}

void checkWords(const void* argument, size_t bytes, bool isPointer) {
  for (size_t at = 0; at + 8 <= bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, static_cast<const unsigned char*>(argument) + at, 8);
    if (heap().contains(reinterpret_cast<const void*>(word)) || word == 0) continue;
    // In a struct anything may stand: what is aligned and mapped is taken for an address.
    unsigned char resident;
    auto* page = reinterpret_cast<void*>(word / kPage * kPage);
    const bool mapped = word % 4 == 0 && word >> 44 >= 5 && word >> 47 == 0 && mincore(page, kPage, &resident) == 0;
    if (isPointer || mapped) throw std::runtime_error("a host address was passed to a kernel");
  }
}

namespace {
std::map<const void*, int>& sharedLimits() {
  static std::map<const void*, int> value;
  return value;
}
}  // namespace

cudaError_t allowShared(const void* kernel, int bytes) {
  const std::lock_guard<std::recursive_mutex> lock(turn());
  if (bytes > 227 * 1024) return cudaErrorInvalidValue;
  sharedLimits()[kernel] = bytes;
  return cudaSuccess;
}

void checkShared(const void* kernel, size_t bytes) {
  const std::lock_guard<std::recursive_mutex> lock(turn());
  const auto found = sharedLimits().find(kernel);
  const size_t limit = found == sharedLimits().end() ? 48 * 1024 : static_cast<size_t>(found->second);
  if (bytes > limit) throw std::runtime_error("more shared memory than the kernel was allowed");
}

void launch(dim3 grid, dim3 block, size_t shared, cudaStream_t stream, std::function<void()> body) {
  const unsigned threads = block.x * block.y * block.z;
  if (threads == 0 || threads > 1024 || threads % 32 != 0 || grid.y > 65535 || grid.z > 65535 || grid.x == 0 ||
      shared > 227 * 1024)
    throw std::runtime_error("launch configuration out of range");
  submit(stream, [=, body = std::move(body)] {
    heap().open(true);
    try {
      runKernel(grid, block, shared, body);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cuda emulator: %s\n", error.what());
      lastError = cudaErrorLaunchFailure;
    }
    heap().open(false);
  });
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  submit(stream, [work = std::move(work)] {
    heap().open(true);
    work();
    heap().open(false);
  });
}

}  // namespace ved::emu

using ved::emu::heap;
using Turn = std::lock_guard<std::recursive_mutex>;

cudaError_t cudaGetDeviceCount(int* count) {
  const std::string fail = ved::emu::failure();
  if (fail == "no-driver" || fail == "old-driver") return cudaErrorInsufficientDriver;
  if (fail == "no-device") return cudaErrorNoDevice;
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  const std::string fail = ved::emu::failure();
  *version = fail == "no-driver" ? 0 : fail == "old-driver" ? 12040 : 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  std::strcpy(p->name, "host emulator");
  p->totalGlobalMem = ved::emu::kHeap;
  p->sharedMemPerBlockOptin = 227 * 1024;
  const bool old = ved::emu::failure() == "old-gpu";
  p->major = old ? 7 : 9;
  p->minor = old ? 5 : 0;
  p->multiProcessorCount = 4;
  p->l2CacheSize = 1 << 20;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(ved::emu::lastError, cudaSuccess); }
const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorInsufficientDriver ? "cudaErrorInsufficientDriver"
         : error == cudaErrorNoDevice         ? "cudaErrorNoDevice"
         : error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation"
                                              : "cudaErrorLaunchFailure";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = ved::emu::kLeastPriority;
  *greatest = ved::emu::kGreatestPriority;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int priority) {
  const Turn turn(ved::emu::turn());
  *stream = new ved::emu::Stream(priority);
  ved::emu::streams().insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, ved::emu::kLeastPriority);
}
// In the order of the stream: what it waits for runs then, if it has not yet.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream->capturing) return cudaErrorInvalidValue;
  if (stream->deaf) return cudaSuccess;
  const ved::emu::Event at = *event;
  ved::emu::submit(stream, [at] {
    if (ved::emu::streams().count(at.stream)) ved::emu::finish(at.stream, at.at);
  });
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!stream->unheard) ved::emu::finish(stream, stream->submitted);
  const Turn turn(ved::emu::turn());
  ved::emu::streams().erase(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream->unheard) return cudaSuccess;
  ved::emu::finish(stream, stream->submitted);
  return std::exchange(ved::emu::lastError, cudaSuccess);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new ved::emu::Event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->capturing) return cudaErrorInvalidValue;
  *event = {stream, stream->submitted};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream && !event->stream->unheard) ved::emu::finish(event->stream, event->at);
  return std::exchange(ved::emu::lastError, cudaSuccess);
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  const Turn turn(ved::emu::turn());
  auto& h = heap();
  // Whole pages with an untouchable one behind them would hide small overruns: 256 poisoned bytes follow instead.
  const size_t size = (bytes + 511) / 256 * 256;
  const char* limit = std::getenv("VED_EMU_MEMORY");
  if (!h.base || ved::emu::failure() == "no-memory" ||
      h.used + size > (limit ? std::strtoull(limit, nullptr, 10) : ved::emu::kHeap))
    return cudaErrorMemoryAllocation;
  size_t at = h.top;
  for (const auto& [offset, room] : h.free)
    if (room >= size) {
      at = offset;
      break;
    }
  if (at == h.top) {
    if (h.top + size > ved::emu::kHeap) return cudaErrorMemoryAllocation;
    h.top += size;
  } else {
    const size_t room = h.free[at];
    h.free.erase(at);
    if (room > size) h.free[at + size] = room - size;
  }
  h.top = (h.top + ved::emu::kPage - 1) / ved::emu::kPage * ved::emu::kPage;
  h.taken[at] = size;
  h.used += size;
  h.open(true);
  std::memset(h.base + at, 0xFF, size);
  h.open(false);
  *pointer = h.base + at;
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  if (!pointer) return cudaSuccess;
  const Turn turn(ved::emu::turn());
  auto& h = heap();
  const size_t at = static_cast<size_t>(static_cast<unsigned char*>(pointer) - h.base);
  const auto found = h.taken.find(at);
  if (found == h.taken.end()) return cudaErrorInvalidValue;
  h.used -= found->second;
  h.open(true);
  const unsigned char* end = h.base + at + found->second;
  bool intact = true;
  for (int i = 1; i <= 64; ++i) intact &= end[-i] == 0xFF;
  std::memset(h.base + at, 0xFF, found->second);
  h.open(false);
  if (!intact) std::fprintf(stderr, "cuda emulator: bytes behind an allocation were overwritten\n"), std::abort();
  h.free[at] = found->second;
  h.taken.erase(found);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  *pointer = std::malloc(bytes);
  const Turn turn(ved::emu::turn());
  if (*pointer) ved::emu::pinned()[static_cast<unsigned char*>(*pointer)] = bytes;
  return *pointer ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* pointer) {
  const Turn turn(ved::emu::turn());
  ved::emu::pinned().erase(static_cast<unsigned char*>(pointer));
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  auto& h = heap();
  if (h.contains(to) != (kind != cudaMemcpyDeviceToHost) || h.contains(from) != (kind != cudaMemcpyHostToDevice))
    return cudaErrorInvalidValue;
  const auto copy = [to, bytes](const void* source) {
    heap().open(true);
    std::memcpy(to, source, bytes);
    heap().open(false);
  };
  if (kind == cudaMemcpyHostToDevice && stream->lazy && !ved::emu::isPinned(from)) {
    const auto* begin = static_cast<const unsigned char*>(from);
    const auto taken = std::make_shared<const std::vector<unsigned char>>(begin, begin + bytes);
    ved::emu::submit(stream, [=] { copy(taken->data()); });
    return cudaSuccess;
  }
  ved::emu::submit(stream, [=] { copy(from); });
  if (kind == cudaMemcpyDeviceToHost && !ved::emu::isPinned(to)) ved::emu::finish(stream, stream->submitted);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  ved::emu::submit(stream, [=] {
    heap().open(true);
    std::memset(to, value, bytes);
    heap().open(false);
  });
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  const Turn turn(ved::emu::turn());
  *total = ved::emu::kHeap;
  *available = ved::emu::kHeap - heap().used;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->capturing = new ved::emu::Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = std::exchange(stream->capturing, nullptr);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new ved::emu::Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const auto& work : exec->work) ved::emu::submit(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
