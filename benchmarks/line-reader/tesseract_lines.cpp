// Reads pictures of one line each with Tesseract's library in one process, as `tesseract FILE stdout --psm 7` does.
//   tesseract_lines LANGUAGE < list of files         one JSON line per picture: {"ms": 12.3, "cpuMs": 20.1, "text":
//   "…"}
// The times (wall clock, and processor time of all threads) are those of SetImage and recognition; loading the language
// and decoding the file are not in them.
#include <leptonica/allheaders.h>
#include <tesseract/baseapi.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escape[8];
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (byte < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

bool readLine(tesseract::TessBaseAPI& api, const std::string& file) {
  Pix* picture = pixRead(file.c_str());
  if (!picture) {
    std::cerr << file << ": cannot be read\n";
    return false;
  }
  const std::clock_t cpuBegan = std::clock();
  const auto began = std::chrono::steady_clock::now();
  api.SetImage(picture);
  const std::unique_ptr<char[]> text(api.GetUTF8Text());
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - began;
  const double cpuMs = 1000.0 * static_cast<double>(std::clock() - cpuBegan) / CLOCKS_PER_SEC;
  api.Clear();
  pixDestroy(&picture);
  std::cout << "{\"ms\": " << spent.count() << ", \"cpuMs\": " << cpuMs
            << ", \"text\": " << quoted(text ? text.get() : "") << "}" << std::endl;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tesseract_lines LANGUAGE < list of files\n";
    return 2;
  }
  tesseract::TessBaseAPI api;
  if (api.Init(nullptr, argv[1])) {
    std::cerr << "language " << argv[1] << ": expected its data to be installed\n";
    return 1;
  }
  api.SetPageSegMode(tesseract::PSM_SINGLE_LINE);
  std::string file;
  while (std::getline(std::cin, file)) {
    if (!readLine(api, file)) return 1;
  }
  return 0;
}
