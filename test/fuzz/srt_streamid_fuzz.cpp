// A streamid is read; what is accepted reads the same when it is written in its longest form, and
// names a stream by a safe key or none.
#include <algorithm>

#include "common/bytes.h"
#include "common/check.h"
#include "common/stream_key.h"
#include "common/wire/srt.h"
#include "common/wire/srt_streamid.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto request = srt::parse_stream_id(as_text(ByteView(data, size)));
  if (!request) return 0;
  INVARIANT(size <= srt::kMaxStreamId && !request->resource.empty());
  const auto clean = [](unsigned char c) { return c >= 0x20 && c != 0x7f; };
  INVARIANT(std::ranges::all_of(request->host + request->resource + request->user, clean));
  const std::string text = srt::to_stream_id(*request);
  if (text.size() <= srt::kMaxStreamId) {
    const auto again = srt::parse_stream_id(text);
    INVARIANT(again.has_value() && *again == *request, text);
  }

  const auto name = stream_from_srt(request->host, request->resource);
  if (!name) return 0;
  const std::string key = name->key();
  INVARIANT(key.find("..") == std::string::npos && key.find("//") == std::string::npos, key);
  INVARIANT(!name->app.empty() && !name->stream.empty(), key);
  INVARIANT(name->app.size() <= kMaxApp && name->stream.size() <= kMaxStream, key);
  const auto same = stream_from_srt(name->vhost, name->app + "/" + name->stream);
  INVARIANT(same.has_value() && same->key() == key, key);
  return 0;
}
