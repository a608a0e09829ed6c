#include "exporter/onnx/weight_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "exporter/error.h"
#include "exporter/onnx/tensor_bytes.h"

namespace modelexport::onnx {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSmall = 1024;              // below this, a tensor is within the ONNX file
constexpr size_t kPiece = size_t{16} << 20;  // copied between two looks at whether to stop

[[noreturn]] void refuse(const Program& program, const std::string& why) {
  throw Error(ErrorKind::usage,
              fmt::format("weights cannot stay in {}: {}; or use external weights",
                          program.source_file, why));
}

// The checkpoint as seen from the ONNX file's folder. What readers of ONNX files refuse (paths that
// lead out of the folder, links) is refused here.
std::string location_of_checkpoint(const Program& program, const std::string& onnx_path) {
  std::error_code ignored;
  const fs::path checkpoint(program.source_file);
  const fs::path folder = fs::weakly_canonical(fs::absolute(onnx_path).parent_path(), ignored);
  const fs::path home = fs::weakly_canonical(fs::absolute(checkpoint).parent_path(), ignored);
  const std::string location = (home / checkpoint.filename()).lexically_relative(folder).native();
  if (location.empty() || location.find("..") != std::string::npos) {
    refuse(program, fmt::format("an ONNX file refers to data in its own folder ({}) or below, by a "
                                "name without \"..\"; write the ONNX file beside the checkpoint",
                                folder.native()));
  }
  if (fs::is_symlink(checkpoint, ignored)) {
    refuse(program, "it is a symbolic link, which ONNX does not allow; give the file itself");
  }
  if (fs::hard_link_count(checkpoint, ignored) > 1) {
    refuse(program, "it has several names (hard links), which ONNX does not allow; make a copy");
  }
  return location;
}

std::string data_path_for(const std::string& onnx_path) {
  const fs::path path(onnx_path);
  std::string name = path.filename().native() + ".data";
  // ONNX's checker takes ".." anywhere in a location for a way out of the folder.
  for (size_t at; (at = name.find("..")) != std::string::npos;) name.erase(at, 1);
  return (path.parent_path() / name).native();
}

Extent extent_of(const Tensor& tensor) {
  const uint64_t begin = static_cast<uint64_t>(tensor.offset) * byte_size(tensor.dtype);
  return {tensor.storage, begin, begin + byte_count(tensor)};
}

}  // namespace

WeightWriter::WeightWriter(const Program& program, std::string onnx_path, WeightMode mode)
    : program_(program), data_path_(data_path_for(onnx_path)), mode_(mode) {
  for (const std::string& output : {onnx_path, data_path_}) {
    std::error_code ignored;
    if (fs::equivalent(output, program.source_file, ignored)) {
      throw Error(ErrorKind::usage,
                  fmt::format("{} is the checkpoint itself; choose another output", output));
    }
  }
  if (mode == WeightMode::in_place) checkpoint_ = location_of_checkpoint(program, onnx_path);
}

WeightWriter::~WeightWriter() {
  for (std::jthread* thread : {&copier_, &checker_}) thread->request_stop();
  copied_ = SIZE_MAX;
  copied_.notify_all();
  copier_ = {};  // joins
  checker_ = {};
  if (checkpoint_fd_ >= 0) close(checkpoint_fd_);
}

void WeightWriter::start(std::span<const TensorId> tensors) {
  if (mode_ == WeightMode::embed) return;
  plan(tensors, early_);
  if (early_.empty()) return;
  copier_ = std::jthread([this](std::stop_token stop) { copy_early(stop); });
  checker_ = std::jthread([this](std::stop_token stop) { check_early(stop); });
}

std::optional<Placement> WeightWriter::place(const graph::TensorData& data) {
  if (mode_ == WeightMode::embed) return std::nullopt;
  const std::string data_file = fs::path(data_path_).filename().native();
  if (const auto* owned = std::get_if<std::string>(&data.data)) {
    if (owned->size() < kSmall) return std::nullopt;
    open_data_file();
    late_.push_back({layout_.allocate(owned->size()), std::as_bytes(std::span(*owned))});
    return Placement{data_file, late_.back().offset, owned->size()};
  }
  const TensorId id = std::get<TensorId>(data.data);
  const Tensor& tensor = program_.tensors.at(id);
  const uint64_t bytes = byte_count(tensor);
  if (bytes < kSmall) return std::nullopt;
  if (is_in_checkpoint(tensor)) {
    const auto storage = static_cast<uint64_t>(program_.storages[tensor.storage].file_offset);
    return Placement{checkpoint_, storage + extent_of(tensor).begin, bytes};
  }
  plan({&id, 1}, late_);
  if (tensor.is_contiguous()) return Placement{data_file, *layout_.find(extent_of(tensor)), bytes};
  return Placement{data_file, gathered_.at(id), bytes};
}

bool WeightWriter::is_in_checkpoint(const Tensor& tensor) const {
  return mode_ == WeightMode::in_place && tensor.is_contiguous() &&
         program_.storages.at(tensor.storage).file_offset >= 0;
}

// Adds a job for each of the tensors that is to be in the data file and is not yet.
void WeightWriter::plan(std::span<const TensorId> tensors, std::vector<Job>& jobs) {
  std::vector<Extent> extents;
  for (TensorId id : tensors) {
    const Tensor& tensor = program_.tensors.at(id);
    if (byte_count(tensor) < kSmall || is_in_checkpoint(tensor)) continue;
    open_data_file();
    if (tensor.is_contiguous()) {
      contiguous_bytes(program_, tensor);  // that they exist
      extents.push_back(extent_of(tensor));
    } else if (!gathered_.contains(id)) {
      const uint64_t offset = layout_.allocate(byte_count(tensor));
      gathered_.emplace(id, offset);
      jobs.push_back({.offset = offset, .gathered = id});
    }
  }
  for (const DataLayout::Region& region : layout_.add(extents)) {
    const Storage& storage = program_.storages[region.extent.storage];
    checked_.push_back(region);
    const uint64_t end = region.extent.end;
    for (uint64_t at = region.extent.begin; at < end; at += kPiece) {
      jobs.push_back({.offset = region.offset + (at - region.extent.begin),
                      .bytes = {storage.data + at, std::min<uint64_t>(kPiece, end - at)},
                      .file_offset = storage.file_offset < 0
                                         ? -1
                                         : storage.file_offset + static_cast<int64_t>(at)});
    }
  }
}

void WeightWriter::open_data_file() {
  if (data_) return;
  data_ = std::make_unique<PendingFile>(data_path_);
  // If the checkpoint cannot be opened again, the bytes in memory serve as well.
  checkpoint_fd_ = open(program_.source_file.c_str(), O_RDONLY | O_CLOEXEC);
}

void WeightWriter::copy(const Job& job) {
  if (job.gathered == kNone) {
    return data_->copy_at(job.offset, job.file_offset < 0 ? -1 : checkpoint_fd_,
                          static_cast<uint64_t>(job.file_offset), job.bytes);
  }
  uint64_t offset = job.offset;
  for_each_block(program_, program_.tensors[job.gathered], [&](std::span<const std::byte> block) {
    data_->write_at(offset, block);
    offset += block.size();
  });
}

void WeightWriter::check(const Job& job) const {
  if (job.gathered != kNone) return;  // left to those who read the whole file back
  data_->check_at(job.offset, job.file_offset < 0 ? -1 : checkpoint_fd_,
                  static_cast<uint64_t>(job.file_offset), job.bytes);
}

void WeightWriter::copy_early(std::stop_token stop) {
  size_t end = SIZE_MAX;
  try {
    for (const Job& job : early_) {
      if (stop.stop_requested()) break;
      copy(job);
      ++copied_;
      copied_.notify_all();
    }
    end = early_.size();
  } catch (...) {
    copy_failure_ = std::current_exception();
  }
  if (copied_ != end) copied_ = SIZE_MAX;
  copied_.notify_all();
}

// Follows copy_early.
void WeightWriter::check_early(std::stop_token stop) {
  uint64_t done = 0, total = 0;
  for (const Job& job : early_) total += job.bytes.size();
  try {
    for (size_t i = 0; i < early_.size() && !stop.stop_requested(); ++i) {
      while (copied_ <= i) copied_.wait(i);
      if (copied_ > early_.size()) return;
      check(early_[i]);
      done += early_[i].bytes.size();
      if (const Progress* progress = progress_) (*progress)(done, total);
    }
  } catch (...) {
    check_failure_ = std::current_exception();
  }
}

void WeightWriter::finish(const Progress& progress) {
  if (progress) progress_ = &progress;
  if (copier_.joinable()) copier_.join();
  if (checker_.joinable()) checker_.join();
  for (std::exception_ptr* failure : {&copy_failure_, &check_failure_}) {
    if (*failure) std::rethrow_exception(std::exchange(*failure, nullptr));
  }
  for (const Job& job : std::exchange(late_, {})) {
    copy(job);
    check(job);
  }
}

void WeightWriter::commit() {
  if (data_) data_->commit();
}

void WeightWriter::revoke() {
  if (data_) unlink(data_->path().c_str());
}

}  // namespace modelexport::onnx
