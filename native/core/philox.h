// Philox4x32-10 (Salmon et al. 2011): random bits as a function of a key and a counter, without state. The same
// (seed, sequence, step) always gives the same draw, whatever else is being drawn.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/host_device.h"

namespace ved {

class Philox {
 public:
  // Four words, as a plain array: kernels on a device draw from the same generator.
  struct Block {
    uint32_t words[4];
    VED_HOST_DEVICE uint32_t& operator[](size_t i) { return words[i]; }
    VED_HOST_DEVICE uint32_t operator[](size_t i) const { return words[i]; }
  };

  VED_HOST_DEVICE Philox(uint64_t seed, uint64_t sequence) : seed_(seed), sequence_(sequence) {}

  // Block `index` of the given step.
  VED_HOST_DEVICE Block block(uint32_t step, uint32_t index) const {
    Block counter = {index, step, static_cast<uint32_t>(sequence_), static_cast<uint32_t>(sequence_ >> 32)};
    uint32_t key0 = static_cast<uint32_t>(seed_), key1 = static_cast<uint32_t>(seed_ >> 32);
    for (int round = 0; round < 10; ++round) {
      counter = mix(counter, key0, key1);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    return counter;
  }

  // 53 random bits: uniform(step) in units of 2^-53.
  VED_HOST_DEVICE uint64_t uniformBits(uint32_t step) const {
    const Block b = block(step, 0);
    return ((static_cast<uint64_t>(b[0]) << 32) | b[1]) >> 11;
  }
  // Uniform in [0, 1).
  double uniform(uint32_t step) const { return static_cast<double>(uniformBits(step)) * 0x1p-53; }

 private:
  VED_HOST_DEVICE static Block mix(const Block& c, uint32_t key0, uint32_t key1) {
    const uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    return {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(b),
            static_cast<uint32_t>(a >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(a)};
  }

  uint64_t seed_, sequence_;
};

}  // namespace ved
