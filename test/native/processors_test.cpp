// How many threads are chosen, on machines made of files.
#include "core/processors.h"

#include <filesystem>
#include <fstream>

#include "harness.h"

using namespace ved;

namespace {

struct FakeMachine {
  std::filesystem::path root;
  explicit FakeMachine(const char* name) : root(std::filesystem::temp_directory_path() / name) {
    std::filesystem::remove_all(root);
  }
  ~FakeMachine() { std::filesystem::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // Processors i and i + cores share a core.
  void siblings(int cores) const {
    for (int i = 0; i < 2 * cores; ++i)
      write("sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/thread_siblings_list",
            std::to_string(i % cores) + "," + std::to_string(i % cores + cores) + "\n");
  }
  int cores(std::vector<int> allowed) const { return usableCores({root.string(), std::move(allowed)}); }
};

}  // namespace

VED_TEST(processors_of_one_core_count_once) {
  const FakeMachine machine("ved-processors-siblings");
  machine.siblings(4);
  CHECK_EQ(machine.cores({0, 1, 2, 3, 4, 5, 6, 7}), 4);
  CHECK_EQ(machine.cores({0, 4}), 1);
  CHECK_EQ(machine.cores({0, 1, 4}), 2);
  CHECK_EQ(machine.cores({1, 2, 3}), 3);
  CHECK_EQ(machine.cores({8, 9}), 2);  // nothing is known of these
  CHECK_EQ(machine.cores({}), 1);
}

VED_TEST(processors_within_the_quota_of_any_group) {
  const FakeMachine machine("ved-processors-quota");
  machine.siblings(8);
  const std::vector<int> all{0, 1, 2, 3, 4, 5, 6, 7};
  machine.write("proc/self/cgroup", "1:name=systemd:/x\n0::/system.slice/reader.service\n");
  machine.write("sys/fs/cgroup/system.slice/reader.service/cpu.max", "max 100000\n");
  CHECK_EQ(machine.cores(all), 8);
  machine.write("sys/fs/cgroup/system.slice/cpu.max", "250000 100000\n");
  CHECK_EQ(machine.cores(all), 3);  // two and a half
  machine.write("sys/fs/cgroup/cpu.max", "600000 100000\n");
  CHECK_EQ(machine.cores(all), 3);
  machine.write("sys/fs/cgroup/system.slice/reader.service/cpu.max", "50000 100000\n");
  CHECK_EQ(machine.cores(all), 1);
  CHECK_EQ(machine.cores({5}), 1);
}

VED_TEST(processors_of_older_control_groups) {
  const FakeMachine machine("ved-processors-legacy");
  machine.siblings(8);
  machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  machine.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK_EQ(machine.cores({0, 1, 2, 3}), 4);
  machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  CHECK_EQ(machine.cores({0, 1, 2, 3}), 2);
}

VED_TEST(processors_in_spite_of_odd_files) {
  const FakeMachine machine("ved-processors-odd");
  for (const char* text : {"", "max", "0 0", "-5 100000", "x y", "100000 0", "9223372036854775807 1"}) {
    machine.write("sys/fs/cgroup/cpu.max", text);
    CHECK_EQ(machine.cores({0, 1}), 2);
  }
  machine.write("sys/fs/cgroup/cpu.max", "100000 100000");
  for (const char* text : {"", "0::", "0::/", "0::/../..", "0:://", "nonsense"}) {
    machine.write("proc/self/cgroup", text);
    CHECK_EQ(machine.cores({0, 1}), 1);
  }
}

VED_TEST(processors_here) { CHECK(usableProcessors() >= 1); }
