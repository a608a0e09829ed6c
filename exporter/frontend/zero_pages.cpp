#include "exporter/frontend/zero_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <new>

namespace modelexport::frontend {

at::DataPtr zero_pages(size_t size) {
  const size_t mapped = std::max<size_t>(size, 1);
  void* data = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  auto* owner = new std::shared_ptr<void>(data, [mapped](void* pages) { ::munmap(pages, mapped); });
  return {data, owner, [](void* held) { delete static_cast<std::shared_ptr<void>*>(held); },
          at::Device(at::kCPU)};
}

}  // namespace modelexport::frontend
