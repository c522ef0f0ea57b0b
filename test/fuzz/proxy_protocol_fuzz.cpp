// Any bytes as a PROXY header: the verdict does not depend on how they are cut, and who is named
// can be written again.
#include "common/check.h"
#include "common/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const ByteView bytes(data, size);
  const auto whole = proxy_protocol::parse(bytes);
  for (std::size_t cut = 0; cut < std::min<std::size_t>(size, 256); ++cut) {
    const auto part = proxy_protocol::parse(bytes.first(cut));
    if (!part) {
      INVARIANT(!whole);
      return 0;
    }
    if (*part) {
      INVARIANT(whole && *whole && (**whole).size == (**part).size);
      INVARIANT((**whole).client == (**part).client && (**part).size <= cut);
      break;
    }
  }
  if (!whole || !*whole) return 0;
  INVARIANT((**whole).size <= size && (**whole).size <= proxy_protocol::kMaxHeader);
  if (!(**whole).client) return 0;
  const auto again = proxy_protocol::encode(*(**whole).client, {.host = "::1", .port = 1});
  const auto read = proxy_protocol::parse(again);
  INVARIANT(read && *read && (**read).client && (**read).client->port == (**whole).client->port);
  return 0;
}
