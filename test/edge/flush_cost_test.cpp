// What a flush costs when everything is in its stride: no memory, and one system call per viewer who lacks
// something. Counts what the whole process does while `counting`, so nothing else may run meanwhile.
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <catch2/catch.hpp>

#include "test/support/stream_rig.h"

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
  REQUIRE(installed != 0);
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

using namespace weir;
using namespace weir::test;

namespace {

struct Cost {
  int allocations = 0;
  int sends = 0;
};

// What flushing costs that the ingested `packet` causes.
Task<Cost> cost_of(StreamRig& rig, const Packet& packet) {
  allocations = sends = 0;
  rig.on_news = [](const StreamNews&) { counting = true; };
  rig.ingest(packet);
  co_await next_turn(rig.loop);
  counting = false;
  rig.on_news = [](const StreamNews&) {};
  co_return Cost{allocations, sends};
}

constexpr int kEach = 100;  // viewers of a format

}  // namespace

TEST_CASE("a flush allocates nothing and writes once to each viewer", "[flush_cost]") {
  StreamRig rig;
  start_hooks();
  auto body = [&]() -> Task<void> {
    rig.ingest(video_header(0));
    rig.ingest(keyframe(0, 1000));
    co_await next_turn(rig.loop);
    std::vector<Player> players;
    for (int i = 0; i < kEach; ++i) {
      players.push_back(rig.join(Format::Rtmp));
      players.push_back(rig.join(Format::Flv));
    }
    std::uint32_t ms = 0;
    for (int i = 0; i < 50; ++i) {
      Cost cost = co_await cost_of(rig, picture(ms += 40, 2000));
      CHECK(cost.sends == 2 * kEach);
      // The first flushes find out how much room the loop's own lists need.
      if (i > 1) CHECK(cost.allocations == 0);
      for (auto& player : players) player.receive();
    }
    for (auto& player : players) CHECK(player.received().size() > 50 * 2000);
    Cost skipped = co_await cost_of(rig, video_header(ms));  // nothing that a viewer lacks
    CHECK(skipped.sends == 0);
  };
  test::run(rig.loop, body());
}

TEST_CASE("viewers with nothing new cost no system call", "[flush_cost]") {
  StreamRig rig;
  auto body = [&]() -> Task<void> {
    rig.ingest(keyframe(0, 1000));
    co_await next_turn(rig.loop);
    std::vector<Player> players;
    for (int i = 0; i < 10; ++i) players.push_back(rig.join(Format::Flv));
    // News of a view that every viewer has had in full.
    StreamNews same = rig.fanout.news();
    sends = 0;
    counting = true;
    rig.fanout.hear(same);
    co_await next_turn(rig.loop);
    counting = false;
    CHECK(sends == 0);
    CHECK(rig.tally(&EdgeMetrics::PerFormat::flushes, Format::Flv) == 10);
  };
  test::run(rig.loop, body());
}
