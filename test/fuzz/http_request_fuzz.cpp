// Any bytes as the requests of one connection.
#include "common/wire/http1_via.h"
#include "test/fuzz/http_head_oracle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::http;
  const weir::ByteView bytes(data, size);
  check_heads<Request>(bytes);
  for (Request& request : read_heads<Request>(bytes, std::max<std::size_t>(size, 1), {}).heads) {
    const auto framing = framing_of(request);
    if (framing.kind == BodyFraming::UntilClose) std::abort();
    if (request.target != "*" && !target_of(request).path.starts_with('/')) std::abort();

    // What a proxy does: afterwards the head is still valid, and says the same about its body.
    cdn_loop_contains(request.headers, "weir");
    remove_hop_by_hop(request.headers);
    if (request.headers.has("Connection") || request.headers.has("Transfer-Encoding")) std::abort();
    set_framing(request.headers, framing);
    add_cdn_loop(request.headers, "weir");
    if (!cdn_loop_contains(request.headers, "weir")) std::abort();
    std::string text;
    write(request, text);
    const auto again =
        read_heads<Request>(weir::as_bytes(text), text.size(),
                            {.head = 1 << 20, .line = 1 << 20, .header = 1 << 20, .count = 100});
    if (again.heads.size() != 1 || framing_of(again.heads[0]) != framing) std::abort();
  }
  return 0;
}
