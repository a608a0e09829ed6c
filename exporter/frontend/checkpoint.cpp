#include "exporter/frontend/checkpoint.h"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/versions.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <torch/csrc/jit/operator_upgraders/upgraders_entry.h>
#include <torch/csrc/jit/operator_upgraders/version_map.h>
#include <torch/csrc/jit/serialization/import_source.h>
#include <torch/csrc/jit/serialization/unpickler.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <regex>
#include <stdexcept>

#include "exporter/error.h"
#include "exporter/frontend/debug_ranges.h"
#include "exporter/frontend/without_weights.h"
#include "exporter/frontend/zero_pages.h"
#include "exporter/frontend/zip_directory.h"

namespace modelexport::frontend {
namespace {

using caffe2::serialize::PyTorchStreamReader;

[[noreturn]] void unreadable(const std::string& path, const std::string& why) {
  throw Error(ErrorKind::unreadable, fmt::format("{}: {}", path, why));
}

// Serves the zip reader. Not from memory: a page that is touched brings its neighbours in, which
// are weights.
class MappingAdapter : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit MappingAdapter(std::shared_ptr<Mapping> mapping) : mapping_(std::move(mapping)) {}
  size_t size() const override { return mapping_->size(); }
  size_t read(uint64_t position, void* buffer, size_t count, const char*) const override {
    return mapping_->read(position, buffer, count);
  }

 private:
  std::shared_ptr<Mapping> mapping_;
};

thread_local bool without_weights = false;
constexpr size_t kLargeRecord = size_t{1} << 20;

class Loader {
 public:
  Loader(std::shared_ptr<Mapping> mapping, PyTorchStreamReader& reader)
      : mapping_(std::move(mapping)),
        reader_(reader),
        unit_(std::make_shared<torch::jit::CompilationUnit>()),
        importer_(
            unit_, &constants_, [this](const std::string& name) { return source(name); },
            reader.version()) {}

  torch::jit::Module load() {
    const auto constants = read("constants").toTuple();
    for (const auto& constant : constants->elements()) constants_.push_back(constant);
    return torch::jit::Module(read("data").toObject());
  }

  // forward's recorded inputs. torch.jit.save keeps one list per traced method, with the tensors'
  // sizes and dtypes but not their data.
  std::vector<c10::IValue> traced_inputs() {
    if (!reader_.hasRecord("traced_inputs.pkl")) return {};
    for (const auto& entry : read("traced_inputs").toGenericDict()) {
      if (entry.key().toStringRef() == "forward")
        return all_without_data(entry.value().toListRef());
    }
    return {};
  }

 private:
  std::shared_ptr<torch::jit::Source> source(const std::string& qualifier) {
    std::string record = "code/" + qualifier;
    std::replace(record.begin(), record.end(), '.', '/');
    record += ".py";
    if (!reader_.hasRecord(record)) return nullptr;
    const std::string code = text(record);
    prepare_upgraders(code);
    std::shared_ptr<torch::jit::SourceRangeUnpickler> ranges;
    if (reader_.hasRecord(record + ".debug_pkl")) {
      ranges = make_debug_ranges(text(record + ".debug_pkl"));
    }
    return std::make_shared<torch::jit::Source>(code, record, 1, ranges);
  }

  // Compiling the code needs LibTorch's upgraders for operators that were others when it was saved.
  // They take as long to make as a small checkpoint takes to export, so not for all code.
  void prepare_upgraders(const std::string& code) const {
    for (const auto& [name, entries] : torch::jit::get_operator_version_map()) {
      const bool changed = std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
        return static_cast<uint64_t>(entry.bumped_at_version) > reader_.version();
      });
      const size_t base = name.find("::") + 2;  // aten::div.Tensor
      if (changed && code.find(name.substr(base, name.find('.', base) - base)) != code.npos) {
        return torch::jit::populate_upgraders_graph_map();
      }
    }
  }

  std::string text(const std::string& record) {
    auto [data, size] = reader_.getRecord(record);
    return {static_cast<const char*>(data.get()), size};
  }

  // A storage as a view of the mapping; it keeps the mapping alive.
  at::DataPtr storage(const std::string& record) {
    const size_t size = without_weights ? reader_.getRecordSize(record) : 0;
    if (size >= kLargeRecord) return zero_pages(size);
    const size_t offset = reader_.getRecordOffset(record);
    return {mapping_->data() + offset, new std::shared_ptr<Mapping>(mapping_),
            [](void* owner) { delete static_cast<std::shared_ptr<Mapping>*>(owner); },
            at::Device(at::kCPU)};
  }

  static std::vector<c10::IValue> all_without_data(c10::ArrayRef<c10::IValue> values) {
    std::vector<c10::IValue> result;
    for (const auto& value : values) result.push_back(without_data(value));
    return result;
  }

  // The same value with zeros for the tensors, whose storages are not in the file.
  static c10::IValue without_data(const c10::IValue& value) {
    if (value.isTensor()) {
      return value.toTensor().defined()
                 ? at::zeros_like(value.toTensor(), at::MemoryFormat::Contiguous)
                 : value;
    }
    if (value.isTuple()) {
      return c10::ivalue::Tuple::create(all_without_data(value.toTupleRef().elements()));
    }
    if (value.isList()) {
      c10::impl::GenericList list(value.toList().elementType());
      for (const auto& element : value.toListRef()) list.push_back(without_data(element));
      return list;
    }
    if (value.isGenericDict()) {
      auto from = value.toGenericDict();
      c10::impl::GenericDict dict(from.keyType(), from.valueType());
      for (const auto& entry : from) dict.insert(entry.key(), without_data(entry.value()));
      return dict;
    }
    return value;
  }

  c10::IValue read(const std::string& archive) {
    const std::string pickle = text(archive + ".pkl");
    size_t position = 0;
    auto read_bytes = [&](char* buffer, size_t count) {
      count = std::min(count, pickle.size() - position);
      std::memcpy(buffer, pickle.data() + position, count);
      position += count;
      return count;
    };
    torch::jit::Unpickler unpickler(
        read_bytes,
        [this](const c10::QualifiedName& name) {
          return c10::StrongTypePtr(unit_, importer_.loadType(name));
        },
        [](const at::StrongTypePtr& type, const c10::IValue& state) { return object(type, state); },
        [&](const std::string& name) { return storage(archive + "/" + name); }, std::nullopt);
    unpickler.set_version(reader_.version());
    return unpickler.parse_ivalue();
  }

  static c10::intrusive_ptr<c10::ivalue::Object> object(const at::StrongTypePtr& type,
                                                        const c10::IValue& state) {
    auto cls = type.type_->expect<at::ClassType>();
    auto result = c10::ivalue::Object::create(type, cls->numAttributes());
    if (cls->findMethod("__getstate__") && cls->findMethod("__setstate__")) {
      cls->getMethod("__setstate__")({result, state});
      return result;
    }
    auto attributes = state.toGenericDict();
    for (size_t slot = 0; slot < cls->numAttributes(); ++slot) {
      result->setSlot(slot, attributes.at(cls->getAttributeName(slot)));
    }
    return result;
  }

  std::shared_ptr<Mapping> mapping_;
  PyTorchStreamReader& reader_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  std::vector<c10::IValue> constants_;
  torch::jit::SourceImporter importer_;
};

constexpr const char* kNoCheckpoint =
    "this zip archive is not a TorchScript checkpoint (no constants.pkl and data.pkl in it)";

// PyTorch's reader refuses archives without its records as it refuses damaged ones.
bool is_sound_zip(const Mapping& mapping) {
  const auto read = [&](uint64_t offset, uint64_t size) {
    std::string bytes(std::min<uint64_t>(size, mapping.size()), '\0');
    bytes.resize(mapping.read(offset, bytes.data(), bytes.size()));
    return bytes;
  };
  try {
    read_zip_directory(read, mapping.size());
    return true;
  } catch (const std::out_of_range&) {
    return false;
  }
}

// What LibTorch says of a checkpoint that it cannot load, or what to do about it.
std::string explain_failure(const std::string& what) {
  for (const auto& [pattern, kind] :
       {std::pair(R"(Unknown builtin op: ([\w:]+))", "operator"),
        std::pair(R"(Unknown type name '?__torch__\.torch\.classes\.([\w.]+))", "class")}) {
    std::smatch match;
    if (!std::regex_search(what, match, std::regex(pattern))) continue;
    return fmt::format(
        "it uses the custom {} {}; load the library that has it with --load-library LIB.so", kind,
        match[1].str());
  }
  return "damaged, or of a version that LibTorch cannot read: " + what;
}

// What a zip archive that is not a TorchScript checkpoint is, and what to do with it.
std::string explain_archive(PyTorchStreamReader& reader) {
  const auto records = reader.getAllRecords();
  const auto has = [&](std::string_view part) {
    return std::any_of(records.begin(), records.end(), [&](const std::string& record) {
      return record.find(part) != std::string::npos;
    });
  };
  if (has("archive_format") || has("models/") || has("serialized_exported_program")) {
    return "this is a torch.export archive (.pt2), not TorchScript; trace or script the module "
           "instead: "
           "torch.jit.trace(module, example).save('model.pt')";
  }
  if (has("data.pkl")) {
    return "this was written by torch.save (a state_dict or a pickled module), not by "
           "torch.jit.save; "
           "build the module in Python, load this file into it, and save it as TorchScript: "
           "torch.jit.trace(module.eval(), example).save('model.pt')";
  }
  return kNoCheckpoint;
}

}  // namespace

WithoutWeights::WithoutWeights() { without_weights = true; }
WithoutWeights::~WithoutWeights() { without_weights = false; }

Mapping::Mapping(const std::string& path) {
  const int file = file_.descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) unreadable(path, std::strerror(errno));
  struct stat status {};
  const bool is_file = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  void* data = MAP_FAILED;
  if (is_file && status.st_size > 0) {
    size_ = static_cast<size_t>(status.st_size);
    data = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  }
  const int error = errno;
  if (!is_file) unreadable(path, "not a regular file");
  if (status.st_size == 0) unreadable(path, "the file is empty");
  if (data == MAP_FAILED) unreadable(path, std::strerror(error));
  data_ = static_cast<std::byte*>(data);
}

Mapping::File::~File() {
  if (descriptor >= 0) ::close(descriptor);
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

size_t Mapping::read(uint64_t position, void* buffer, size_t count) const {
  size_t got = 0;
  while (got < count) {
    const ssize_t more = ::pread(file_.descriptor, static_cast<std::byte*>(buffer) + got,
                                 count - got, static_cast<off_t>(position + got));
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    got += static_cast<size_t>(more);
  }
  return got;
}

int64_t Mapping::offset_of(const void* pointer) const {
  const auto* byte = static_cast<const std::byte*>(pointer);
  return byte >= data_ && byte < data_ + size_ ? byte - data_ : -1;
}

void Mapping::release(const void* begin, size_t bytes) const {
  static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const auto last = (reinterpret_cast<uintptr_t>(begin) + bytes) / page * page;
  if (last > first) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

Checkpoint load_checkpoint(const std::string& path) {
  auto mapping = std::make_shared<Mapping>(path);
  static constexpr std::string_view kZip = "PK\x03\x04";
  std::array<char, kZip.size()> begin{};
  mapping->read(0, begin.data(), begin.size());
  if (std::string_view(begin.data(), begin.size()) != kZip) {
    unreadable(path,
               "not a zip archive, so not a TorchScript checkpoint (torch.jit.save writes one)");
  }
  std::unique_ptr<PyTorchStreamReader> reader;
  try {
    reader = std::make_unique<PyTorchStreamReader>(std::make_shared<MappingAdapter>(mapping));
  } catch (const std::exception&) {
    unreadable(path, is_sound_zip(*mapping)
                         ? kNoCheckpoint
                         : "the zip archive is damaged or cut short; copy or save it again");
  }
  if (!reader->hasRecord("constants.pkl") || !reader->hasRecord("data.pkl")) {
    unreadable(path, explain_archive(*reader));
  }
  try {
    Loader loader(mapping, *reader);
    torch::jit::Module module = loader.load();
    module.eval();
    auto traced_inputs = loader.traced_inputs();
    return {path, mapping, std::move(module), std::move(traced_inputs)};
  } catch (const c10::Error& error) {
    unreadable(path, explain_failure(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    unreadable(path, explain_failure(error.what()));
  }
}

}  // namespace modelexport::frontend
