// Philox4x32-10 (Salmon et al. 2011): random bits as a function of a key and a counter, without state. The same
// (seed, sequence, step) always gives the same draw, whatever else is being drawn.
#pragma once
#include <array>
#include <cstdint>

namespace ved {

class Philox {
 public:
  using Block = std::array<uint32_t, 4>;

  Philox(uint64_t seed, uint64_t sequence) : seed_(seed), sequence_(sequence) {}

  // Block `index` of the given step.
  Block block(uint32_t step, uint32_t index) const {
    Block counter = {index, step, static_cast<uint32_t>(sequence_), static_cast<uint32_t>(sequence_ >> 32)};
    uint32_t key0 = static_cast<uint32_t>(seed_), key1 = static_cast<uint32_t>(seed_ >> 32);
    for (int round = 0; round < 10; ++round) {
      counter = mix(counter, key0, key1);
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    return counter;
  }

  // Uniform in [0, 1), 53 bits.
  double uniform(uint32_t step) const {
    const Block b = block(step, 0);
    return static_cast<double>(((static_cast<uint64_t>(b[0]) << 32) | b[1]) >> 11) * 0x1p-53;
  }

 private:
  static Block mix(const Block& c, uint32_t key0, uint32_t key1) {
    const uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    return {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(b),
            static_cast<uint32_t>(a >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(a)};
  }

  uint64_t seed_, sequence_;
};

}  // namespace ved
