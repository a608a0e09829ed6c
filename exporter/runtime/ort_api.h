// The slice of ONNX Runtime's C API that is used here. The API is a table of functions to which
// each version only appends, so that a slot number holds for ever; the gaps stand for functions not
// used. Internal to this folder.
#pragma once

#include <cstddef>
#include <cstdint>

namespace modelexport::runtime::ort {

struct Env;
struct Status;
struct MemoryInfo;
struct Session;
struct Value;
struct RunOptions;
struct TypeInfo;
struct TensorInfo;
struct SequenceInfo;
struct SessionOptions;
struct Allocator;

enum ValueType : int { kTensor = 1, kSequence = 2 };
inline constexpr int kDeviceAllocator = 0;
inline constexpr int kDefaultMemory = 0;

template <size_t kCount>
using Gap = void* [kCount];

// Functions that return a Status return nullptr when all is well.
struct Api {
  Gap<2> gap_0;
  const char* (*GetErrorMessage)(const Status*);
  Status* (*CreateEnv)(int log_severity, const char* log_id, Env**);
  Gap<3> gap_4;
  Status* (*CreateSession)(const Env*, const char* path, const SessionOptions*, Session**);
  Status* (*CreateSessionFromArray)(const Env*, const void* model, size_t bytes,
                                    const SessionOptions*, Session**);
  Status* (*Run)(Session*, const RunOptions*, const char* const* input_names,
                 const Value* const* inputs, size_t input_count, const char* const* output_names,
                 size_t output_count, Value** outputs);
  Status* (*CreateSessionOptions)(SessionOptions**);
  Status* (*SetOptimizedModelFilePath)(SessionOptions*, const char* path);
  Gap<2> gap_12;
  Status* (*EnableProfiling)(SessionOptions*, const char* path_prefix);
  Gap<7> gap_15;
  Status* (*SetSessionLogSeverityLevel)(SessionOptions*, int severity);
  Status* (*SetSessionGraphOptimizationLevel)(SessionOptions*, int level);
  Status* (*SetIntraOpNumThreads)(SessionOptions*, int threads);
  Gap<5> gap_25;
  Status* (*SessionGetInputCount)(const Session*, size_t*);
  Status* (*SessionGetOutputCount)(const Session*, size_t*);
  Gap<1> gap_32;
  Status* (*SessionGetInputTypeInfo)(const Session*, size_t index, TypeInfo**);
  Status* (*SessionGetOutputTypeInfo)(const Session*, size_t index, TypeInfo**);
  Gap<1> gap_35;
  Status* (*SessionGetInputName)(const Session*, size_t index, Allocator*, char**);
  Status* (*SessionGetOutputName)(const Session*, size_t index, Allocator*, char**);
  Gap<11> gap_38;
  Status* (*CreateTensorWithDataAsOrtValue)(const MemoryInfo*, void* data, size_t bytes,
                                            const int64_t* dims, size_t rank, int dtype, Value**);
  Gap<1> gap_50;
  Status* (*GetTensorMutableData)(Value*, void**);
  Gap<3> gap_52;
  Status* (*CastTypeInfoToTensorInfo)(const TypeInfo*, const TensorInfo**);
  Status* (*GetOnnxTypeFromTypeInfo)(const TypeInfo*, int*);
  Gap<3> gap_57;
  Status* (*GetTensorElementType)(const TensorInfo*, int*);
  Status* (*GetDimensionsCount)(const TensorInfo*, size_t*);
  Status* (*GetDimensions)(const TensorInfo*, int64_t*, size_t rank);
  Status* (*GetSymbolicDimensions)(const TensorInfo*, const char**, size_t rank);
  Gap<1> gap_64;
  Status* (*GetTensorTypeAndShape)(const Value*, TensorInfo**);
  Gap<1> gap_66;
  Status* (*GetValueType)(const Value*, int*);
  Gap<1> gap_68;
  Status* (*CreateCpuMemoryInfo)(int allocator, int memory, MemoryInfo**);
  Gap<6> gap_70;
  Status* (*AllocatorFree)(Allocator*, void*);
  Gap<1> gap_77;
  Status* (*GetAllocatorWithDefaultOptions)(Allocator**);
  Gap<1> gap_79;
  Status* (*GetValue)(const Value*, int index, Allocator*, Value**);
  Status* (*GetValueCount)(const Value*, size_t*);
  Status* (*CreateValue)(const Value* const*, size_t count, int type, Value**);
  Gap<9> gap_83;
  void (*ReleaseEnv)(Env*);
  void (*ReleaseStatus)(Status*);
  void (*ReleaseMemoryInfo)(MemoryInfo*);
  void (*ReleaseSession)(Session*);
  void (*ReleaseValue)(Value*);
  Gap<1> gap_97;
  void (*ReleaseTypeInfo)(TypeInfo*);
  void (*ReleaseTensorTypeAndShapeInfo)(TensorInfo*);
  void (*ReleaseSessionOptions)(SessionOptions*);
  Gap<3> gap_101;
  Status* (*CastTypeInfoToSequenceTypeInfo)(const TypeInfo*, const SequenceInfo**);
  Gap<2> gap_105;
  Status* (*GetSequenceElementType)(const SequenceInfo*, TypeInfo**);
  Gap<2> gap_108;
  Status* (*SessionEndProfiling)(Session*, Allocator*, char** path);
  Gap<19> gap_111;
  Status* (*AddSessionConfigEntry)(SessionOptions*, const char* key, const char* value);
};

// Session configuration: where the external data of a model in memory is.
inline constexpr const char* kExternalDataFolder =
    "session.model_external_initializers_file_folder_path";

#define MODELEXPORT_ORT_SLOT(function, slot) \
  static_assert(offsetof(Api, function) == (slot) * sizeof(void*), "misplaced in the table")
MODELEXPORT_ORT_SLOT(GetErrorMessage, 2);
MODELEXPORT_ORT_SLOT(CreateSession, 7);
MODELEXPORT_ORT_SLOT(Run, 9);
MODELEXPORT_ORT_SLOT(EnableProfiling, 14);
MODELEXPORT_ORT_SLOT(SetSessionLogSeverityLevel, 22);
MODELEXPORT_ORT_SLOT(SessionGetInputCount, 30);
MODELEXPORT_ORT_SLOT(SessionGetOutputTypeInfo, 34);
MODELEXPORT_ORT_SLOT(SessionGetOutputName, 37);
MODELEXPORT_ORT_SLOT(CreateTensorWithDataAsOrtValue, 49);
MODELEXPORT_ORT_SLOT(GetTensorMutableData, 51);
MODELEXPORT_ORT_SLOT(GetOnnxTypeFromTypeInfo, 56);
MODELEXPORT_ORT_SLOT(GetSymbolicDimensions, 63);
MODELEXPORT_ORT_SLOT(GetTensorTypeAndShape, 65);
MODELEXPORT_ORT_SLOT(GetValueType, 67);
MODELEXPORT_ORT_SLOT(CreateCpuMemoryInfo, 69);
MODELEXPORT_ORT_SLOT(AllocatorFree, 76);
MODELEXPORT_ORT_SLOT(GetAllocatorWithDefaultOptions, 78);
MODELEXPORT_ORT_SLOT(CreateValue, 82);
MODELEXPORT_ORT_SLOT(ReleaseEnv, 92);
MODELEXPORT_ORT_SLOT(ReleaseValue, 96);
MODELEXPORT_ORT_SLOT(ReleaseSessionOptions, 100);
MODELEXPORT_ORT_SLOT(CastTypeInfoToSequenceTypeInfo, 104);
MODELEXPORT_ORT_SLOT(GetSequenceElementType, 107);
MODELEXPORT_ORT_SLOT(SessionEndProfiling, 110);
MODELEXPORT_ORT_SLOT(AddSessionConfigEntry, 130);
#undef MODELEXPORT_ORT_SLOT

struct ApiBase {
  const Api* (*GetApi)(uint32_t version);  // nullptr if the library is older than `version`
  const char* (*GetVersionString)();
};

inline constexpr uint32_t kApiVersion = 17;
inline constexpr const char* kOldestRelease = "1.17";

}  // namespace modelexport::runtime::ort
