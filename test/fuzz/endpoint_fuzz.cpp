// Any text as an endpoint and as a list of allowed addresses: what is accepted is written in a form
// that means the same.
#include <cstdlib>

#include "common/endpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir;
  const std::string_view text = as_text({data, size});

  if (const auto endpoint = parse_endpoint(text, "192.0.2.1", 80)) {
    if (endpoint->port == 0 || !is_host(endpoint->host)) std::abort();
    const auto again = parse_endpoint(to_string(*endpoint), "192.0.2.2");
    if (!again || *again != *endpoint) std::abort();
  }
  if (const auto endpoint = parse_listen(text)) {
    const auto again = parse_listen(to_string(*endpoint));
    if (!again || *again != *endpoint) std::abort();
  }
  if (const auto block = parse_cidr(text)) {
    if (!block->contains(ByteView(block->network))) std::abort();
  }
  if (const auto list = CidrList::parse(text)) {
    const bool any = list->contains("10.0.0.1") || list->contains("::1");
    if (any && list->empty()) std::abort();
    if (list->contains("10.0.0.1") != list->contains("::ffff:10.0.0.1")) std::abort();
  }
  return 0;
}
