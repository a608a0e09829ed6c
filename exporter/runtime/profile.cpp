#include "exporter/runtime/profile.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "exporter/error.h"

namespace modelexport::runtime {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// A folder of its own, gone with all that is in it at the end.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "modelexport-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw Error(ErrorKind::unwritable, "cannot make a folder for temporary files: " + name);
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  fs::path path;
};

struct Event {  // microseconds
  int64_t begin = 0, duration = 0;
  std::string node;
};

constexpr std::string_view kKernel = "_kernel_time";

// The runs of nodes after the first run of the model, outer ones before those within.
std::vector<Event> read_events(const std::string& path) {
  std::ifstream file(path);
  const Json profile = Json::parse(file, nullptr, false);
  int64_t first_end = -1;
  std::vector<Event> events;
  if (!profile.is_array()) throw Error(ErrorKind::unwritable, "the profile is not whole: " + path);
  for (const Json& entry : profile) {
    const std::string name = entry.value("name", "");
    const Event event{entry.value("ts", int64_t{0}), entry.value("dur", int64_t{0}), name};
    if (name == "model_run" && first_end < 0) first_end = event.begin + event.duration;
    if (name.ends_with(kKernel)) events.push_back(event);
  }
  std::erase_if(events, [&](const Event& event) { return event.begin < first_end; });
  for (Event& event : events) event.node.resize(event.node.size() - kKernel.size());
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tuple(a.begin, -a.duration) < std::tuple(b.begin, -b.duration);
  });
  return events;
}

}  // namespace

std::map<std::string, double> node_seconds(const std::string& model_path, SessionOptions options,
                                           const std::vector<HostValue>& inputs, int runs) {
  const TemporaryFolder folder;
  options.profile_prefix = folder.path / "profile";
  Session session(model_path, options);
  for (int run = 0; run <= runs; ++run) session.run(inputs);
  const std::vector<Event> events = read_events(session.end_profile());

  std::map<std::string, double> seconds;
  std::vector<const Event*> around;
  for (const Event& event : events) {
    while (!around.empty() && event.begin >= around.back()->begin + around.back()->duration)
      around.pop_back();
    const double own = static_cast<double>(event.duration) / 1e6 / runs;
    seconds[event.node] += own;
    if (!around.empty()) seconds[around.back()->node] -= own;
    around.push_back(&event);
  }
  for (auto& [node, time] : seconds) time = std::max(time, 0.0);  // each is rounded
  return seconds;
}

}  // namespace modelexport::runtime
