// Any bytes as a chunked body: the verdict does not depend on how they were cut, and what was
// decoded is decoded again after it was written.
#include <algorithm>
#include <cstdlib>

#include "common/wire/http1_chunked.h"

namespace {

using namespace weir;

struct Body {
  std::string data;
  http::Headers trailers;
  std::size_t left = 0;  // bytes behind the end
  bool ended = false;
  int status = 0;
  std::string text;

  friend bool operator==(const Body&, const Body&) = default;
};

Body read(ByteView bytes, std::size_t step, http::ChunkedLimits limits) {
  http::ChunkedReader reader(limits);
  Body body;
  while (!bytes.empty() && !body.ended) {
    const std::size_t size = std::min(step, bytes.size());
    ByteView piece = bytes.first(size);
    while (!piece.empty() && !body.ended) {
      const auto taken = reader.next(piece);
      if (!taken) {
        body.status = taken.error().status;
        body.text = taken.error().text;
        return body;
      }
      body.data.append(as_text(taken->data));
      body.ended = taken->end;
    }
    bytes = bytes.subspan(size - piece.size());
  }
  if (body.data.size() != reader.total() || body.data.size() > limits.body) std::abort();
  body.left = bytes.size();
  if (body.ended) body.trailers = reader.trailers();
  return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(data, size);
  const http::ChunkedLimits small{
      .body = 40, .size_line = 12, .extensions = 16, .trailers = 48, .trailer_count = 3};
  for (const auto& limits : {http::ChunkedLimits{}, small}) {
    const Body whole = read(bytes, std::max<std::size_t>(size, 1), limits);
    for (const std::size_t step : {1, 3, 17}) {
      if (read(bytes, step, limits) != whole) std::abort();
    }
    if (!whole.ended) continue;
    std::string text;
    if (!whole.data.empty()) {
      http::write_chunk_size(whole.data.size(), text);
      text.append(whole.data).append(http::kChunkEnd);
    }
    http::write_last_chunk(whole.trailers, text);
    const Body again = read(as_bytes(text), text.size(), {.trailers = 1 << 20});
    if (!again.ended || again.left != 0 || again.data != whole.data ||
        again.trailers != whole.trailers)
      std::abort();
  }
  return 0;
}
