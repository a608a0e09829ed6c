// A TorchScript checkpoint (`.pt`, written by torch.jit.save), loaded without reading its weights:
// the file is mapped and every tensor is a view of the mapping, so that weights cost memory only
// where they are touched and their place in the file is known.
//
// The format is a zip archive with stored (uncompressed) records: `constants.pkl`, `data.pkl` (the
// module object), `data/N` (storages), `code/**.py` (TorchScript sources) with `.debug_pkl` (source
// ranges), and for traced modules `traced_inputs.pkl`. See torch/csrc/jit/docs/serialization.md.
//
// Throws Error{unreadable} for anything else, saying what the file is where that can be told.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>
#include <vector>

namespace modelexport::frontend {

// The file in memory: private and writable, so that modules which update their buffers can run.
class Mapping {
 public:
  explicit Mapping(const std::string& path);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  // Offset in the file of a pointer into the mapping, -1 for others.
  int64_t offset_of(const void* pointer) const;
  // Gives back the memory of pages within; they are read again when they are next touched. What was
  // written to them is lost: forward's changes must have been undone.
  void release(const void* begin, size_t bytes) const;

  // From the file itself, up to its end; the number of bytes read.
  size_t read(uint64_t position, void* buffer, size_t count) const;

 private:
  struct File {
    int descriptor = -1;
    ~File();
  };

  File file_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

struct Checkpoint {
  std::string path;
  std::shared_ptr<Mapping> mapping;
  torch::jit::Module module;
  std::vector<c10::IValue> traced_inputs;  // of forward, without self; empty if not recorded
};

Checkpoint load_checkpoint(const std::string& path);

}  // namespace modelexport::frontend
