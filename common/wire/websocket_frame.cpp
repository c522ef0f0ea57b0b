#include "common/wire/websocket_frame.h"

#include <algorithm>

namespace weir::websocket {
namespace {

constexpr std::uint8_t kFinal = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kMasked = 0x80;
constexpr std::size_t kMaskSize = 4;

std::size_t length_size(std::uint8_t second) {
  const int length = second & 0x7f;
  return length == 126 ? 2 : length == 127 ? 8 : 0;
}

}  // namespace

std::uint8_t* write_header(std::uint8_t* out, Opcode opcode, std::size_t payload) {
  *out++ = static_cast<std::uint8_t>(kFinal | static_cast<int>(opcode));
  if (payload < 126) {
    *out++ = static_cast<std::uint8_t>(payload);
    return out;
  }
  if (payload < 65536) {
    *out++ = 126;
    return store_be16(out, static_cast<std::uint32_t>(payload));
  }
  *out++ = 127;
  return store_be64(out, payload);
}

void append_frame(ByteBuffer& out, Opcode opcode, ByteView payload) {
  const std::size_t begin = out.size();
  out.resize(begin + header_size(payload.size()));
  write_header(out.data() + begin, opcode, payload.size());
  append(out, payload);
}

void append_close(ByteBuffer& out, CloseCode code) {
  std::array<std::uint8_t, 2> payload;
  store_be16(payload.data(), static_cast<std::uint32_t>(code));
  append_frame(out, Opcode::Close, payload);
}

Result<std::optional<ControlFrame>> FrameReader::next(ByteView& input) {
  while (true) {
    if (!in_payload_) {
      if (!fill(input, 2)) return std::nullopt;
      auto started = check_start();
      if (!started) return std::unexpected(started.error());
      if (!fill(input, 2 + length_size(header_[1]) + kMaskSize)) return std::nullopt;
      auto measured = check_length();
      if (!measured) return std::unexpected(measured.error());
      in_payload_ = true;
      control_size_ = 0;
    }
    take_payload(input);
    if (left_ > 0) return std::nullopt;
    in_payload_ = false;
    header_have_ = 0;
    if (is_control())
      return ControlFrame{.opcode = Opcode{static_cast<std::uint8_t>(header_[0] & 0x0f)},
                          .payload = ByteView(control_).first(control_size_)};
    in_message_ = (header_[0] & kFinal) == 0;
    if (!in_message_) message_size_ = 0;
  }
}

bool FrameReader::fill(ByteView& input, std::size_t size) {
  if (header_have_ >= size) return true;
  const std::size_t part = std::min(input.size(), size - header_have_);
  std::copy_n(input.begin(), part, header_.begin() + static_cast<std::ptrdiff_t>(header_have_));
  header_have_ += part;
  input = input.subspan(part);
  return header_have_ == size;
}

Result<void> FrameReader::check_start() {
  const auto opcode = Opcode{static_cast<std::uint8_t>(header_[0] & 0x0f)};
  if (header_[0] & kReserved) return fail(Errc::Protocol, "WebSocket frame with reserved bits");
  if (!(header_[1] & kMasked)) return fail(Errc::Protocol, "WebSocket frame without mask");
  switch (opcode) {
    case Opcode::Continuation:
      if (!in_message_) return fail(Errc::Protocol, "WebSocket continuation of no message");
      return {};
    case Opcode::Text:
    case Opcode::Binary:
      if (in_message_) return fail(Errc::Protocol, "WebSocket message inside of another");
      return {};
    case Opcode::Close:
    case Opcode::Ping:
    case Opcode::Pong:
      if (!(header_[0] & kFinal)) return fail(Errc::Protocol, "WebSocket control in fragments");
      if ((header_[1] & 0x7f) > kMaxControl)
        return fail(Errc::Protocol, "WebSocket control frame too long");
      return {};
  }
  return fail(Errc::Protocol, "WebSocket opcode that is reserved");
}

Result<void> FrameReader::check_length() {
  const std::size_t size = length_size(header_[1]);
  left_ = header_[1] & 0x7f;
  if (size == 2) left_ = load_be16(header_.data() + 2);
  if (size == 8) left_ = load_be64(header_.data() + 2);
  const bool shortest = size == 0 || left_ >= (size == 2 ? 126u : 65536u);
  if (!shortest) return fail(Errc::Protocol, "WebSocket length written longer than it is");
  if (is_control()) {
    if ((header_[0] & 0x0f) == static_cast<int>(Opcode::Close) && left_ == 1)
      return fail(Errc::Protocol, "WebSocket close with half a code");
    return {};
  }
  if (left_ > kMaxMessage - message_size_) return fail(Errc::Limit, "WebSocket message too long");
  message_size_ += left_;
  return {};
}

void FrameReader::take_payload(ByteView& input) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), left_));
  if (is_control()) {
    const std::uint8_t* mask = header_.data() + 2 + length_size(header_[1]);
    for (const std::uint8_t byte : input.first(part)) {
      control_[control_size_] = static_cast<std::uint8_t>(byte ^ mask[control_size_ % kMaskSize]);
      ++control_size_;
    }
  }
  left_ -= part;
  input = input.subspan(part);
}

}  // namespace weir::websocket
