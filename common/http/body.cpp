#include "common/http/body.h"

#include <algorithm>

namespace weir::http {

Parsed<ByteView> Body::next(ByteView& input) {
  if (framing_.kind == BodyFraming::Chunked) {
    auto step = chunks_.next(input);
    if (!step) return std::unexpected(step.error());
    return step->data;
  }
  const ByteView piece = input.first(ended() ? 0 : room(input.size()));
  input = input.subspan(piece.size());
  if (framing_.kind == BodyFraming::Length) left_ -= piece.size();
  return piece;
}

std::size_t Body::room(std::size_t most) const {
  if (framing_.kind != BodyFraming::Length) return most;
  return static_cast<std::size_t>(std::min<std::uint64_t>(left_, most));
}

Result<std::size_t> Body::take(ByteView bytes) {
  ByteView rest = bytes;
  while (!rest.empty() && !ended()) {
    auto piece = next(rest);
    if (!piece) return std::unexpected<Error>(piece.error());
  }
  return bytes.size() - rest.size();
}

bool Body::ended() const {
  switch (framing_.kind) {
    case BodyFraming::None: return true;
    case BodyFraming::Length: return left_ == 0;
    case BodyFraming::Chunked: return chunks_.ended();
    case BodyFraming::UntilClose: break;
  }
  return closed_;
}

bool Body::closed() {
  if (framing_.kind == BodyFraming::UntilClose) closed_ = true;
  return ended();
}

}  // namespace weir::http
