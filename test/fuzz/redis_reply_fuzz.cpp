// A server's bytes give the same replies however they are cut, within the limits, or end in the same kind of error.
#include <cstdlib>

#include "common/redis/reply.h"

namespace {

using namespace weir::redis;

constexpr ReplyLimits kLimits{.bytes = 4096, .items = 64};

void require(bool condition) {
  if (!condition) std::abort();
}

std::size_t items_of(const Reply& reply) {
  std::size_t count = 1;
  for (const Reply& item : reply.items) count += items_of(item);
  return count;
}

struct Outcome {
  Replies replies;
  bool failed = false;
};

Outcome read(weir::ByteView bytes, std::size_t piece) {
  ReplyReader reader(kLimits);
  Outcome outcome;
  while (!bytes.empty() && !outcome.failed) {
    reader.feed(bytes.first(std::min(piece, bytes.size())));
    bytes = bytes.subspan(std::min(piece, bytes.size()));
    while (true) {
      auto reply = reader.next();
      if (!reply) {
        require(reply.error().code == weir::Errc::Protocol ||
                reply.error().code == weir::Errc::Limit);
        outcome.failed = true;
        break;
      }
      if (!*reply) break;
      require(items_of(**reply) <= kLimits.items);
      outcome.replies.push_back(std::move(**reply));
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weir::ByteView bytes{data, size};
  const Outcome whole = read(bytes, size);
  const Outcome cut = read(bytes, 3);
  require(whole.replies == cut.replies);
  // Of a reply that is not whole yet, the length may be past the limit in one way of cutting and not in the other.
  if (size <= kLimits.bytes) require(whole.failed == cut.failed);
  return 0;
}
