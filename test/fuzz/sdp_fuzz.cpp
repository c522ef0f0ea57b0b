// Any text as a session description: rewritten, it has our candidates and none of its own, and is
// the same when it is rewritten again.
#include <algorithm>

#include "common/bytes.h"
#include "common/check.h"
#include "common/wire/sdp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const std::string_view text = as_text(ByteView(data, size));
  const auto ice = sdp::read_ice(text);
  if (!ice) return 0;
  const std::vector<sdp::Candidate> ours{
      {.address = "192.0.2.1", .port = 8000, .priority = 2, .tcp = false},
      {.address = "2001:db8::1", .port = 8000, .priority = 1, .tcp = true}};
  const std::string once = sdp::with_candidates(text, ours);
  const auto again = sdp::read_ice(once);
  if (!again) {
    INVARIANT(again.error().code == Errc::Limit);  // our lines were too many
    return 0;
  }
  INVARIANT(again->credentials == ice->credentials);
  for (const auto& candidate : again->candidates)
    INVARIANT(std::ranges::find(ours, candidate) != ours.end());
  INVARIANT(sdp::with_candidates(once, ours) == once);
  INVARIANT(sdp::read_ice(sdp::with_candidates(text, {}))->candidates.empty());
  return 0;
}
