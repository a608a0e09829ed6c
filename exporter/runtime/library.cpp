#include "exporter/runtime/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace modelexport::runtime {
namespace {

namespace fs = std::filesystem;

// The library itself, or within a folder, where it may carry its version: libonnxruntime.so.1.32.0.
std::string library_in(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, ignored)) {
    if (entry.path().filename().native().starts_with("libonnxruntime.so")) {
      found.push_back(entry.path().native());
    }
  }
  if (found.empty()) return (fs::path(path) / "libonnxruntime.so").native();
  return *std::min_element(found.begin(), found.end());
}

std::string path_of(void* symbol, const std::string& otherwise) {
  Dl_info info;
  return dladdr(symbol, &info) != 0 && info.dli_fname ? info.dli_fname : otherwise;
}

// What to try, in order. What was asked for by name has no substitute.
std::vector<std::string> candidates(const std::string& given) {
  if (!given.empty()) return {library_in(given)};
  const char* variable = std::getenv("MODELEXPORT_ONNXRUNTIME");
  if (variable && *variable) return {library_in(variable)};
  std::vector<std::string> paths = {"libonnxruntime.so", "libonnxruntime.so.1"};
#ifdef MODELEXPORT_ONNXRUNTIME_LIBRARY
  paths.push_back(MODELEXPORT_ONNXRUNTIME_LIBRARY);
#endif
  return paths;
}

}  // namespace

const Library& Library::load(const std::string& given) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Library>> loaded;
  const std::lock_guard lock(mutex);
  std::string causes;
  for (const std::string& path : candidates(given)) {
    const auto known = loaded.find(path);
    if (known != loaded.end()) return *known->second;
    if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
      return *loaded.emplace(path, new Library(handle, path)).first->second;
    }
    causes += fmt::format("\n  {}", dlerror());
  }
  throw Error(
      ErrorKind::usage,
      fmt::format("ONNX Runtime's library cannot be loaded:{}\nGive its path with --runtime or "
                  "in MODELEXPORT_ONNXRUNTIME (the onnxruntime package for Python has it in "
                  "its folder capi)",
                  causes));
}

Library::Library(void* handle, std::string path) {
  void* symbol = dlsym(handle, "OrtGetApiBase");
  if (!symbol) {
    throw Error(ErrorKind::usage, fmt::format("{} is not ONNX Runtime's library", path));
  }
  path_ = path_of(symbol, path);
  const auto* base = reinterpret_cast<const ort::ApiBase* (*)()>(symbol)();
  version_ = base->GetVersionString();
  api_ = base->GetApi(ort::kApiVersion);
  if (!api_) {
    throw Error(ErrorKind::usage,
                fmt::format("ONNX Runtime {} ({}) is too old; {} or later is needed", version_,
                            path_, ort::kOldestRelease));
  }
}

void Library::check(ort::Status* status, const std::string& what) const {
  if (!status) return;
  const std::string message = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  throw Error(ErrorKind::mismatch, fmt::format("{}: {}", what, message));
}

}  // namespace modelexport::runtime
