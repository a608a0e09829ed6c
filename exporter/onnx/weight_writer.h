// Puts the weights where the ONNX file will refer to them. None of them passes through the heap:
// the kernel copies them from the checkpoint; what is not in the checkpoint as such is streamed.
//
//   external  OUT.onnx.data; each storage (or the part in use) once, at a multiple of 4096 bytes,
//             however many tensors are views of it
//   in_place  nowhere: the ONNX file refers to the checkpoint, which must be in its folder or
//   below;
//             tensors that are not contiguous there go to OUT.onnx.data
//   embed     within the ONNX file (see model_file.h)
//
// Tensors of less than 1 KiB are within the ONNX file in all modes.
// Errors (Error): usage for a checkpoint that ONNX cannot refer to; unwritable; unreadable.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/onnx/data_layout.h"
#include "exporter/onnx/pending_file.h"
#include "exporter/program/program.h"

namespace modelexport::onnx {

enum class WeightMode : uint8_t { external, embed, in_place };

struct Placement {
  std::string location;  // file, relative to the folder of the ONNX file
  uint64_t offset = 0;
  uint64_t length = 0;
};

class WeightWriter {
 public:
  // `program` and what place() is given must outlive the writer.
  WeightWriter(const Program& program, std::string onnx_path, WeightMode mode);
  ~WeightWriter();  // stops copying; nothing remains unless commit() was called

  // Begins to copy these tensors in a thread of its own, which another follows that reads back what
  // is copied. Optional, at most once.
  void start(std::span<const TensorId> tensors);

  // Where the tensor is or will be; nullopt: within the ONNX file.
  std::optional<Placement> place(const graph::TensorData& tensor);

  // Told how much has been copied and read back, while finish() waits; from another thread.
  using Progress = std::function<void(uint64_t done, uint64_t total)>;
  // Returns when all that place() answered is there and was read back.
  void finish(const Progress& progress);
  void commit();  // gives OUT.onnx.data its name
  void revoke();  // removes it again: the ONNX file could not be written

  std::string data_path() const { return data_ ? data_->path() : ""; }  // empty: there is none
  // Parts of the data file that were seen to hold what they should, when finish() has returned.
  const std::vector<DataLayout::Region>& checked() const { return checked_; }
  uint64_t bytes_written() const { return data_ ? data_->size() : 0; }

 private:
  struct Job {
    uint64_t offset = 0;               // in the data file
    std::span<const std::byte> bytes;  // empty for tensors that are to be gathered
    int64_t file_offset = -1;          // of the same bytes in the checkpoint; -1: not there
    TensorId gathered = kNone;
  };

  bool is_in_checkpoint(const Tensor& tensor) const;
  void plan(std::span<const TensorId> tensors, std::vector<Job>& jobs);
  void copy(const Job& job);
  void check(const Job& job) const;
  void copy_early(std::stop_token stop);
  void check_early(std::stop_token stop);
  void open_data_file();

  const Program& program_;
  std::string data_path_;
  WeightMode mode_;
  std::string checkpoint_;  // its location relative to the ONNX file's folder; in_place only
  int checkpoint_fd_ = -1;
  std::unique_ptr<PendingFile> data_;
  DataLayout layout_;
  std::unordered_map<TensorId, uint64_t> gathered_;  // offsets of those that are not contiguous
  std::vector<Job> early_, late_;
  std::vector<DataLayout::Region> checked_;
  std::atomic<const Progress*> progress_ = nullptr;
  std::atomic<size_t> copied_ = 0;  // of early_; more than there are: it stopped
  std::exception_ptr copy_failure_, check_failure_;
  std::jthread copier_, checker_;  // last, so that they are joined before anything they use is gone
};

// The parameters, buffers and constants that the program's outputs depend on, in order of first
// use: what start() is for.
std::vector<TensorId> tensors_in_use(const Program& program);

}  // namespace modelexport::onnx
