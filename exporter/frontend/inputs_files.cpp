#include "exporter/frontend/inputs_files.h"

#include <ATen/Functions.h>
#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>
#include <torch/csrc/jit/serialization/import_read.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "exporter/error.h"
#include "exporter/frontend/examples.h"
#include "exporter/frontend/zip_directory.h"

namespace modelexport::frontend {
namespace {

constexpr std::string_view kWanted =
    "expected a torch.save'd tensor, tuple, list or dict of tensors (.pt), or NumPy's .npz or .npy";

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error(ErrorKind::unreadable, fmt::format("inputs '{}': {}", path, what));
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

template <typename T>
T little_endian(std::string_view bytes, size_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    throw std::out_of_range("it ends too early");
  }
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::string_view slice(std::string_view bytes, size_t offset, size_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) {
    throw std::out_of_range("it ends too early");
  }
  return bytes.substr(offset, size);
}

// ---- .npy: magic, version, a Python dict as header, the data
// -----------------------------------------

struct NpyType {
  std::string_view descr;  // without the byte order
  at::ScalarType type;
};
constexpr NpyType kNpyTypes[] = {
    {"b1", at::kBool},         {"i1", at::kChar},
    {"u1", at::kByte},         {"i2", at::kShort},
    {"i4", at::kInt},          {"i8", at::kLong},
    {"u2", at::kUInt16},       {"u4", at::kUInt32},
    {"u8", at::kUInt64},       {"f2", at::kHalf},
    {"f4", at::kFloat},        {"f8", at::kDouble},
    {"c8", at::kComplexFloat}, {"c16", at::kComplexDouble},
};

// The text after "'key':" in the header.
std::string_view header_field(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) {
    throw std::out_of_range(fmt::format("its header has no '{}'", key));
  }
  const std::string_view rest = header.substr(at + key.size() + 3);
  return rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
}

at::ScalarType npy_type(std::string_view field) {
  const std::string_view quoted = field.substr(0, field.find(','));
  if (quoted.size() > 4 && quoted.front() == '\'') {
    const char order = quoted[1];
    const std::string_view code = quoted.substr(2, quoted.rfind('\'') - 2);
    for (const NpyType& row : kNpyTypes) {
      if (row.descr == code && order != '>') return row.type;
    }
  }
  throw std::out_of_range(fmt::format("dtype {} is none that a tensor can have", quoted));
}

std::vector<int64_t> npy_shape(std::string_view field) {
  std::vector<int64_t> sizes;
  const std::string inside(field.substr(1, field.find(')') - 1));
  for (const char* next = inside.c_str(); *next;) {
    char* end = nullptr;
    const int64_t size = std::strtoll(next, &end, 10);
    if (end == next || size < 0) break;
    sizes.push_back(size);
    next = end + std::strspn(end, ", ");
  }
  return sizes;
}

at::Tensor parse_npy(std::string_view bytes) {
  if (bytes.substr(0, 6) != "\x93NUMPY") throw std::out_of_range("it is no NumPy array");
  const bool short_length = little_endian<uint8_t>(bytes, 6) == 1;
  const size_t header_size =
      short_length ? little_endian<uint16_t>(bytes, 8) : little_endian<uint32_t>(bytes, 8);
  const size_t header_begin = short_length ? 10 : 12;
  const std::string_view header = slice(bytes, header_begin, header_size);
  std::vector<int64_t> sizes = npy_shape(header_field(header, "shape"));
  const bool columns_first = header_field(header, "fortran_order").substr(0, 4) == "True";
  if (columns_first) std::reverse(sizes.begin(), sizes.end());

  at::Tensor tensor = at::empty(sizes, npy_type(header_field(header, "descr")));
  const std::string_view data = slice(bytes, header_begin + header_size, tensor.nbytes());
  std::memcpy(tensor.data_ptr(), data.data(), data.size());
  if (!columns_first) return tensor;
  std::vector<int64_t> axes(sizes.size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(axes.size() - 1 - i);
  return tensor.permute(axes).contiguous();
}

// ---- .npz: a zip archive of .npy, stored or deflated
// --------------------------------------------------

std::vector<std::pair<std::string, at::Tensor>> parse_npz(std::string_view zip) {
  std::vector<std::pair<std::string, at::Tensor>> arrays;
  const auto read = [&](uint64_t offset, uint64_t size) {
    return std::string(zip.substr(std::min<uint64_t>(offset, zip.size()), size));
  };
  for (ZipRecord& record : read_zip_directory(read, zip.size())) {
    const std::string data = read_record(read, record);
    if (record.name.ends_with(".npy")) record.name.resize(record.name.size() - 4);
    arrays.emplace_back(std::move(record.name), parse_npy(data));
  }
  return arrays;
}

// arr_0, arr_1...: how numpy.savez names arrays given by position.
std::optional<size_t> position_of(const std::string& name) {
  if (!name.starts_with("arr_") || name.size() < 5) return std::nullopt;
  if (!std::all_of(name.begin() + 4, name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  return std::stoul(name.substr(4));
}

c10::IValue gather_arrays(std::vector<std::pair<std::string, at::Tensor>> arrays) {
  const bool positional = std::all_of(arrays.begin(), arrays.end(), [](const auto& array) {
    return position_of(array.first).has_value();
  });
  if (positional) {
    std::sort(arrays.begin(), arrays.end(), [](const auto& a, const auto& b) {
      return *position_of(a.first) < *position_of(b.first);
    });
    std::vector<c10::IValue> elements;
    for (auto& [name, tensor] : arrays) elements.emplace_back(std::move(tensor));
    return c10::ivalue::Tuple::create(std::move(elements));
  }
  c10::Dict<std::string, at::Tensor> dict;
  for (auto& [name, tensor] : arrays) dict.insert(name, std::move(tensor));
  return dict;
}

// ---- .pt
// -----------------------------------------------------------------------------------------------

c10::IValue parse_pt(const std::string& path) {
  caffe2::serialize::PyTorchStreamReader reader(path);
  if (reader.hasRecord("constants.pkl")) {
    fail(path, fmt::format("it is a TorchScript module, not inputs; {}", kWanted));
  }
  if (!reader.hasRecord("data.pkl")) fail(path, fmt::format("it has no data.pkl; {}", kWanted));
  return torch::jit::readArchiveAndTensors("data", "", "data/", std::nullopt, std::nullopt,
                                           at::Device(at::kCPU), reader);
}

}  // namespace

c10::IValue read_input_file(const std::string& path) {
  const std::string bytes = read_file(path);
  if (bytes.empty()) fail(path, fmt::format("the file is empty; {}", kWanted));
  try {
    if (bytes.starts_with("\x93NUMPY")) return parse_npy(bytes);
    if (!bytes.starts_with("PK\x03\x04")) {
      if (bytes.starts_with("\x80\x02\x8a\x0a")) {
        fail(path, "it was saved in the format before PyTorch 1.6; save it again with torch.save");
      }
      fail(path, fmt::format("unknown format; {}", kWanted));
    }
    // The first record of torch.save's archives is FOLDER/data.pkl, of NumPy's NAME.npy.
    const size_t name_size = little_endian<uint16_t>(bytes, 26);
    if (slice(bytes, 30, name_size).ends_with(".npy")) return gather_arrays(parse_npz(bytes));
    return parse_pt(path);
  } catch (const Error&) {
    throw;
  } catch (const std::out_of_range& error) {
    fail(path, error.what());
  } catch (const std::exception& error) {
    fail(path, fmt::format("it cannot be read ({}); {}", reason_of(error), kWanted));
  }
}

}  // namespace modelexport::frontend
