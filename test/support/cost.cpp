#include "test/support/cost.h"

#include <dlfcn.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "common/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEIR_SANITIZER_ALLOCATES
// As in <sanitizer/allocator_interface.h>, which g++ does not bring along.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*,
                                                                  std::size_t),
                                                         void (*)(const volatile void*));
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
std::atomic<int> sends{0};

void count(std::atomic<int>& counter) {
  if (counting.load(std::memory_order_relaxed)) counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

// Sanitizers bring an allocator whose checks are worth keeping, and tell of its use themselves.
#ifdef WEIR_SANITIZER_ALLOCATES
namespace {
void start_hooks() {
  static const int installed = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t) { count(allocations); }, [](const volatile void*) {});
  INVARIANT(installed != 0);
}
}  // namespace
#else
namespace {
void start_hooks() {}
void* counted(std::size_t size, std::size_t alignment = 0) {
  count(allocations);
  // aligned_alloc wants a multiple of the alignment.
  void* memory = alignment == 0
                     ? std::malloc(std::max<std::size_t>(size, 1))
                     : std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace
// The other forms call these. Inlined, g++ would take malloc and free for a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) { return counted(size); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

// Stands before the C library's, and before a sanitizer's, which still sees the call.
extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  using Send = ssize_t (*)(int, const msghdr*, int);
  static const auto real = reinterpret_cast<Send>(dlsym(RTLD_NEXT, "sendmsg"));
  count(sends);
  return real(fd, message, flags);
}

namespace weir::test {

void start_counting() {
  start_hooks();
  allocations = sends = 0;
  counting = true;
}

Cost stop_counting() {
  counting = false;
  return {allocations, sends};
}

}  // namespace weir::test
