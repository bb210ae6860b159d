// How many threads compute: one for every core this process may use.
#pragma once
#include <string>
#include <vector>

namespace ved {

// Where the kernel tells about processors, and which of them the affinity mask allows.
struct Machine {
  std::string root;  // before /proc and /sys
  std::vector<int> allowed;
};

// The cores that the allowed processors belong to (two hardware threads of a core share its multiply-add units), but
// not more than the control group's quota pays for; at least 1.
int usableCores(const Machine& machine);

// Of this process. On systems other than Linux: all processors.
int usableProcessors();

}  // namespace ved
