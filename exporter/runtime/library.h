// ONNX Runtime's library: found, loaded once per path, never unloaded. Internal to this folder.
#pragma once

#include <string>

#include "exporter/error.h"
#include "exporter/runtime/ort_api.h"

namespace modelexport::runtime {

class Library {
 public:
  // See session.h for where it is looked for. Errors (Error): usage.
  static const Library& load(const std::string& given);

  const ort::Api& api() const { return *api_; }
  const std::string& version() const { return version_; }
  const std::string& path() const { return path_; }

  // Throws Error(mismatch), beginning with `what`, unless `status` is nullptr.
  void check(ort::Status* status, const std::string& what) const;

 private:
  Library(void* handle, std::string path);

  const ort::Api* api_ = nullptr;
  std::string version_;
  std::string path_;
};

}  // namespace modelexport::runtime
