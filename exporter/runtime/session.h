// Runs ONNX files with ONNX Runtime, which is loaded while the program runs: the first of
// SessionOptions::library (a file, or a folder that holds it), the environment's
// MODELEXPORT_ONNXRUNTIME, the loader's path, and the one found when this was built.
// Errors (Error): usage if there is no such library or it is too old, or for inputs that the model
// does not have; mismatch, with ONNX Runtime's message, if it does not accept or cannot run the
// model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "exporter/program/host_tensor.h"

namespace modelexport::runtime {

enum class Optimization : uint8_t { none, basic, extended, all };

struct SessionOptions {
  std::string library;
  int threads = 1;  // for one operator; 0: as many as there are cores
  Optimization optimization = Optimization::all;
  int log_severity = 4;              // 0 verbose .. 4 fatal
  std::string optimized_model_path;  // where to write the optimised model; empty: nowhere
  std::string profile_prefix;        // how the path of a profile begins; empty: none is written
  // The model, if it is not what the file says; its external data is in the file's folder all the
  // same.
  std::string model_bytes;
};

struct PortInfo {  // an input or output
  std::string name;
  bool is_sequence = false;  // dtype and dims are those of its elements
  DType dtype = DType::undefined;
  std::vector<int64_t> dims;           // -1 where dynamic
  std::vector<std::string> dim_names;  // one per dimension, empty where it has none
};

class Session {
 public:
  Session(const std::string& model_path, const SessionOptions& options);
  ~Session();
  Session(Session&&) noexcept;

  const std::vector<PortInfo>& inputs() const;
  const std::vector<PortInfo>& outputs() const;

  // Inputs are found by name, and may be more than the model has; all outputs, in the model's
  // order.
  std::vector<HostValue> run(const std::vector<HostValue>& inputs) const;

  // Seconds that each of `runs` runs took, after `warmup` ones that do not count.
  std::vector<double> time(const std::vector<HostValue>& inputs, int warmup, int runs) const;

  // Ends the profile that the options asked for; where it is.
  std::string end_profile();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct RuntimeInfo {
  std::string version;  // "1.32.0"
  std::string path;     // of the library, as it was found
};
RuntimeInfo runtime_info(const std::string& library = "");

}  // namespace modelexport::runtime
