#include "core/processors.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace ved {
namespace {

std::string firstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Whole processors for so many microseconds of every period; 0: no limit.
int processorsOfQuota(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::min<long long>((quota - 1) / period + 1, 1 << 16));
}

int lower(int a, int b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

// Control groups, version 2: "max 100000" or "<quota> <period>", in the group of this process and all above it.
int unifiedQuota(const Machine& machine) {
  std::ifstream groups(machine.root + "/proc/self/cgroup");
  std::string group;
  for (std::string line; std::getline(groups, line);)
    if (line.rfind("0::/", 0) == 0) group = line.substr(3);
  if (group.find("..") != std::string::npos) group.clear();  // outside of what is mounted here
  int least = 0;
  for (;;) {
    while (!group.empty() && group.back() == '/') group.pop_back();
    long long quota = 0, period = 0;
    const std::string text = firstLine(machine.root + "/sys/fs/cgroup" + group + "/cpu.max");
    if (std::sscanf(text.c_str(), "%lld %lld", &quota, &period) == 2)
      least = lower(least, processorsOfQuota(quota, period));
    if (group.empty()) return least;
    group.resize(group.rfind('/'));
  }
}

// Version 1, as containers mount it.
int legacyQuota(const Machine& machine) {
  long long quota = 0, period = 0;
  const std::string folder = machine.root + "/sys/fs/cgroup/cpu/cpu.cfs_";
  if (std::sscanf(firstLine(folder + "quota_us").c_str(), "%lld", &quota) != 1) return 0;
  if (std::sscanf(firstLine(folder + "period_us").c_str(), "%lld", &period) != 1) return 0;
  return processorsOfQuota(quota, period);
}

// Processors that share a core name the same siblings.
int distinctCores(const Machine& machine) {
  std::set<std::string> cores;
  for (const int processor : machine.allowed) {
    const std::string siblings = firstLine(machine.root + "/sys/devices/system/cpu/cpu" + std::to_string(processor) +
                                           "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? "processor " + std::to_string(processor) : siblings);
  }
  return static_cast<int>(cores.size());
}

}  // namespace

int usableCores(const Machine& machine) {
  const int cores = lower(distinctCores(machine), lower(unifiedQuota(machine), legacyQuota(machine)));
  return std::max(1, cores);
}

int usableProcessors() {
#if defined(__linux__)
  Machine machine;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) machine.allowed.push_back(i);
  if (!machine.allowed.empty()) return usableCores(machine);
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace ved
