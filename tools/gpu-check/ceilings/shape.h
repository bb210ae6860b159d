// A matrix product on the command line: NAME:M:N:K:TYPE.
#pragma once
#include <cstdio>
#include <string>

struct Shape {
  std::string name, type;
  long long m = 0, n = 0, k = 0;
};

inline bool parse(const char* text, Shape& shape) {
  char name[128], type[16];
  if (std::sscanf(text, "%127[^:]:%lld:%lld:%lld:%15s", name, &shape.m, &shape.n, &shape.k, type) != 5) return false;
  shape.name = name, shape.type = type;
  return shape.m > 0 && shape.n > 0 && shape.k > 0;
}
