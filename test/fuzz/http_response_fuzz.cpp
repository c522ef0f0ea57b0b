// Any bytes as the responses of an origin.
#include "test/fuzz/http_head_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::http;
  const weir::ByteView bytes(data, size);
  check_heads<Response>(bytes);
  const auto outcome = read_heads<Response>(bytes, std::max<std::size_t>(size, 1), {});
  if (outcome.status != 0 && outcome.status != 502) std::abort();
  for (const Response& response : outcome.heads) {
    if (framing_of(response, "HEAD").kind != BodyFraming::None) std::abort();
    framing_of(response, "GET");
  }
  return 0;
}
