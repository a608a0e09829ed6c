#include "exporter/runtime/session.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>

#include "exporter/runtime/library.h"

namespace modelexport::runtime {
namespace {

// Owns what the C API hands out.
template <typename T>
using Owned = std::unique_ptr<T, std::function<void(T*)>>;

using Clock = std::chrono::steady_clock;

// The numbers of ONNXTensorElementDataType.
constexpr std::pair<DType, int> kElementTypes[] = {
    {DType::f32, 1},      {DType::u8, 2},    {DType::qu8, 2},    {DType::i8, 3},
    {DType::qi8, 3},      {DType::u16, 4},   {DType::i16, 5},    {DType::i32, 6},
    {DType::qi32, 6},     {DType::i64, 7},   {DType::string, 8}, {DType::boolean, 9},
    {DType::f16, 10},     {DType::f64, 11},  {DType::u32, 12},   {DType::u64, 13},
    {DType::c64, 14},     {DType::c128, 15}, {DType::bf16, 16},  {DType::f8_e4m3fn, 17},
    {DType::f8_e5m2, 19},
};

int element_number(DType dtype) {
  for (const auto& [known, number] : kElementTypes) {
    if (known == dtype) return number;
  }
  return 0;
}

// Of those that share a number, the first: integers rather than quantised ones.
DType element_type(int number) {
  for (const auto& [dtype, known] : kElementTypes) {
    if (known == number) return dtype;
  }
  return DType::undefined;
}

int level_number(Optimization optimization) {
  switch (optimization) {
    case Optimization::none:
      return 0;
    case Optimization::basic:
      return 1;
    case Optimization::extended:
      return 2;
    case Optimization::all:
      return 99;
  }
  return 99;
}

}  // namespace

struct Session::Impl {
  Impl(const std::string& model_path, const SessionOptions& options)
      : library(Library::load(options.library)), api(library.api()), path(model_path) {
    check(api.GetAllocatorWithDefaultOptions(&allocator));
    memory = make<ort::MemoryInfo>(api.ReleaseMemoryInfo, [&](ort::MemoryInfo** out) {
      return api.CreateCpuMemoryInfo(ort::kDeviceAllocator, ort::kDefaultMemory, out);
    });
    // The library keeps one environment for the process; this is a reference to it.
    environment = make<ort::Env>(api.ReleaseEnv, [&](ort::Env** out) {
      return api.CreateEnv(options.log_severity, "modelexport", out);
    });
    const auto settings =
        make<ort::SessionOptions>(api.ReleaseSessionOptions, api.CreateSessionOptions);
    check(api.SetIntraOpNumThreads(settings.get(), options.threads));
    check(api.SetSessionLogSeverityLevel(settings.get(), options.log_severity));
    check(api.SetSessionGraphOptimizationLevel(settings.get(), level_number(options.optimization)));
    if (!options.optimized_model_path.empty()) {
      check(api.SetOptimizedModelFilePath(settings.get(), options.optimized_model_path.c_str()));
    }
    if (!options.profile_prefix.empty())
      check(api.EnableProfiling(settings.get(), options.profile_prefix.c_str()));
    ort::Session* created = nullptr;
    library.check(create_session(options, settings.get(), &created),
                  fmt::format("ONNX Runtime {} does not accept {}", library.version(), path));
    session = {created, api.ReleaseSession};
    inputs = ports(api.SessionGetInputCount, api.SessionGetInputName, api.SessionGetInputTypeInfo);
    outputs =
        ports(api.SessionGetOutputCount, api.SessionGetOutputName, api.SessionGetOutputTypeInfo);
  }

  ort::Status* create_session(const SessionOptions& options, ort::SessionOptions* settings,
                              ort::Session** created) const {
    if (options.model_bytes.empty()) {
      return api.CreateSession(environment.get(), path.c_str(), settings, created);
    }
    const std::string folder = std::filesystem::absolute(path).parent_path();
    check(api.AddSessionConfigEntry(settings, ort::kExternalDataFolder, folder.c_str()));
    return api.CreateSessionFromArray(environment.get(), options.model_bytes.data(),
                                      options.model_bytes.size(), settings, created);
  }

  void check(ort::Status* status) const {
    library.check(status, fmt::format("ONNX Runtime {} fails on {}", library.version(), path));
  }

  template <typename T, typename Create>
  Owned<T> make(void (*release)(T*), const Create& create) const {
    T* created = nullptr;
    check(create(&created));
    return {created, release};
  }

  template <typename Get>
  std::string text(const Get& get) const {
    char* allocated = nullptr;
    check(get(&allocated));
    std::string copy = allocated;
    check(api.AllocatorFree(allocator, allocated));
    return copy;
  }

  template <typename Count, typename Name, typename Type>
  std::vector<PortInfo> ports(Count get_count, Name get_name, Type get_type) const {
    size_t count = 0;
    check(get_count(session.get(), &count));
    std::vector<PortInfo> result(count);
    for (size_t i = 0; i < count; ++i) {
      result[i].name =
          text([&](char** name) { return get_name(session.get(), i, allocator, name); });
      const auto type = make<ort::TypeInfo>(api.ReleaseTypeInfo, [&](ort::TypeInfo** out) {
        return get_type(session.get(), i, out);
      });
      describe(type.get(), result[i]);
    }
    return result;
  }

  void describe(const ort::TypeInfo* type, PortInfo& port) const {
    int kind = 0;
    check(api.GetOnnxTypeFromTypeInfo(type, &kind));
    if (kind == ort::kSequence) {
      const ort::SequenceInfo* sequence = nullptr;
      check(api.CastTypeInfoToSequenceTypeInfo(type, &sequence));
      const auto element = make<ort::TypeInfo>(api.ReleaseTypeInfo, [&](ort::TypeInfo** out) {
        return api.GetSequenceElementType(sequence, out);
      });
      port.is_sequence = true;
      return describe(element.get(), port);
    }
    const ort::TensorInfo* tensor = nullptr;
    check(api.CastTypeInfoToTensorInfo(type, &tensor));
    if (!tensor) return;  // a map or optional: dtype undefined says so
    std::tie(port.dtype, port.dims) = dtype_and_dims(tensor);
    std::vector<const char*> names(port.dims.size(), "");
    check(api.GetSymbolicDimensions(tensor, names.data(), names.size()));
    port.dim_names.assign(names.begin(), names.end());
  }

  std::pair<DType, std::vector<int64_t>> dtype_and_dims(const ort::TensorInfo* tensor) const {
    int dtype = 0;
    size_t rank = 0;
    check(api.GetTensorElementType(tensor, &dtype));
    check(api.GetDimensionsCount(tensor, &rank));
    std::vector<int64_t> dims(rank);
    check(api.GetDimensions(tensor, dims.data(), rank));
    return {element_type(dtype), std::move(dims)};
  }

  // ONNX Runtime reads the tensor where it is.
  Owned<ort::Value> to_ort(const HostTensor& tensor) const {
    static std::byte nothing;  // empty tensors need an address too
    const std::byte* data = tensor.bytes.empty() ? &nothing : tensor.bytes.data();
    return make<ort::Value>(api.ReleaseValue, [&](ort::Value** out) {
      return api.CreateTensorWithDataAsOrtValue(
          memory.get(), const_cast<std::byte*>(data), tensor.bytes.size(), tensor.dims.data(),
          tensor.dims.size(), element_number(tensor.dtype), out);
    });
  }

  Owned<ort::Value> to_ort(const HostValue& value) const {
    if (!value.is_sequence) return to_ort(value.tensors.at(0));
    std::vector<Owned<ort::Value>> elements;
    std::vector<const ort::Value*> pointers;
    for (const HostTensor& tensor : value.tensors) {
      elements.push_back(to_ort(tensor));
      pointers.push_back(elements.back().get());
    }
    return make<ort::Value>(api.ReleaseValue, [&](ort::Value** out) {
      return api.CreateValue(pointers.data(), pointers.size(), ort::kSequence, out);
    });
  }

  HostTensor tensor_from_ort(ort::Value* value, const std::string& name) const {
    const auto info = make<ort::TensorInfo>(
        api.ReleaseTensorTypeAndShapeInfo,
        [&](ort::TensorInfo** out) { return api.GetTensorTypeAndShape(value, out); });
    HostTensor tensor{.name = name};
    std::tie(tensor.dtype, tensor.dims) = dtype_and_dims(info.get());
    size_t bytes = byte_size(tensor.dtype);
    if (bytes == 0) {
      throw Error(ErrorKind::mismatch,
                  fmt::format("{}: output {} is neither numbers nor booleans", path, name));
    }
    for (int64_t dim : tensor.dims) bytes *= static_cast<size_t>(dim);
    void* data = nullptr;
    check(api.GetTensorMutableData(value, &data));
    const auto* begin = static_cast<const std::byte*>(data);
    if (bytes > 0) tensor.bytes.assign(begin, begin + bytes);
    return tensor;
  }

  HostValue from_ort(ort::Value* value, const std::string& name) const {
    int kind = 0;
    check(api.GetValueType(value, &kind));
    if (kind != ort::kSequence) return {name, false, {tensor_from_ort(value, name)}};
    HostValue result{name, true, {}};
    size_t count = 0;
    check(api.GetValueCount(value, &count));
    for (size_t i = 0; i < count; ++i) {
      const auto element = make<ort::Value>(api.ReleaseValue, [&](ort::Value** out) {
        return api.GetValue(value, static_cast<int>(i), allocator, out);
      });
      result.tensors.push_back(tensor_from_ort(element.get(), name));
    }
    return result;
  }

  // One value per input of the model, in its order.
  std::vector<Owned<ort::Value>> feed(const std::vector<HostValue>& given) const {
    std::vector<Owned<ort::Value>> values;
    for (const PortInfo& input : inputs) {
      const auto found = std::find_if(given.begin(), given.end(), [&](const HostValue& value) {
        return value.name == input.name;
      });
      if (found == given.end()) {
        std::vector<std::string> names;
        for (const HostValue& value : given) names.push_back(value.name);
        throw Error(ErrorKind::usage, fmt::format("{} needs an input {}; given: {}", path,
                                                  input.name, fmt::join(names, ", ")));
      }
      values.push_back(to_ort(*found));
    }
    return values;
  }

  std::vector<Owned<ort::Value>> run(const std::vector<Owned<ort::Value>>& values) const {
    std::vector<const char*> input_names, output_names;
    std::vector<const ort::Value*> pointers;
    for (const PortInfo& input : inputs) input_names.push_back(input.name.c_str());
    for (const PortInfo& output : outputs) output_names.push_back(output.name.c_str());
    for (const auto& value : values) pointers.push_back(value.get());
    std::vector<ort::Value*> results(outputs.size(), nullptr);
    check(api.Run(session.get(), nullptr, input_names.data(), pointers.data(), pointers.size(),
                  output_names.data(), output_names.size(), results.data()));
    std::vector<Owned<ort::Value>> owned;
    for (ort::Value* result : results) owned.emplace_back(result, api.ReleaseValue);
    return owned;
  }

  const Library& library;
  const ort::Api& api;
  std::string path;
  ort::Allocator* allocator = nullptr;
  Owned<ort::MemoryInfo> memory;
  Owned<ort::Env> environment;
  Owned<ort::Session> session;
  std::vector<PortInfo> inputs, outputs;
};

Session::Session(const std::string& model_path, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(model_path, options)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

const std::vector<PortInfo>& Session::inputs() const { return impl_->inputs; }
const std::vector<PortInfo>& Session::outputs() const { return impl_->outputs; }

std::vector<HostValue> Session::run(const std::vector<HostValue>& inputs) const {
  const auto results = impl_->run(impl_->feed(inputs));
  std::vector<HostValue> outputs;
  for (size_t i = 0; i < results.size(); ++i) {
    outputs.push_back(impl_->from_ort(results[i].get(), impl_->outputs[i].name));
  }
  return outputs;
}

std::vector<double> Session::time(const std::vector<HostValue>& inputs, int warmup,
                                  int runs) const {
  const auto values = impl_->feed(inputs);
  for (int i = 0; i < warmup; ++i) impl_->run(values);
  std::vector<double> seconds;
  for (int i = 0; i < runs; ++i) {
    const Clock::time_point start = Clock::now();
    impl_->run(values);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

std::string Session::end_profile() {
  return impl_->text([&](char** path) {
    return impl_->api.SessionEndProfiling(impl_->session.get(), impl_->allocator, path);
  });
}

RuntimeInfo runtime_info(const std::string& library) {
  const Library& loaded = Library::load(library);
  return {loaded.version(), loaded.path()};
}

}  // namespace modelexport::runtime
