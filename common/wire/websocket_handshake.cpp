#include "common/wire/websocket_handshake.h"

#include <openssl/evp.h>

#include <array>

#include "common/check.h"

namespace weir::websocket {
namespace {

// Base64 of 16 bytes.
bool is_key(std::string_view key) {
  constexpr std::size_t kSize = 24;
  if (key.size() != kSize || !key.ends_with("==") || key[kSize - 3] == '=') return false;
  std::array<unsigned char, kSize> decoded;
  const auto* text = reinterpret_cast<const unsigned char*>(key.data());
  return EVP_DecodeBlock(decoded.data(), text, static_cast<int>(kSize)) > 0;
}

}  // namespace

bool is_asked_for(const http::Request& request) {
  return request.headers.has_token("Connection", "upgrade") &&
         request.headers.has_token("Upgrade", "websocket");
}

http::Parsed<http::Response> grant(const http::Request& request) {
  const auto keys = request.headers.find_all("Sec-WebSocket-Key");
  if (request.method != "GET" || request.minor_version < 1)
    return http::refuse(400, Errc::Protocol, "a WebSocket begins with GET of HTTP/1.1");
  if (request.headers.find("Sec-WebSocket-Version") != kVersion)
    return http::refuse(426, Errc::Protocol, "WebSocket of another version");
  if (keys.size() != 1 || !is_key(keys.front()))
    return http::refuse(400, Errc::Protocol, "malformed Sec-WebSocket-Key");
  http::Response response{.status = 101, .reason = "Switching Protocols"};
  response.headers.add("Upgrade", "websocket");
  response.headers.add("Connection", "Upgrade");
  response.headers.add("Sec-WebSocket-Accept", accept_key(keys.front()));
  const auto offers = http::split_list(request.headers.find("Sec-WebSocket-Protocol").value_or(""));
  if (!offers.empty() && http::is_token(offers.front()))
    response.headers.add("Sec-WebSocket-Protocol", offers.front());
  return response;
}

std::string accept_key(std::string_view key) {
  constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const std::string salted = std::string(key).append(kGuid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  const int hashed =
      EVP_Digest(salted.data(), salted.size(), digest.data(), &size, EVP_sha1(), nullptr);
  INVARIANT(hashed == 1 && size == 20, hashed, size);
  std::array<unsigned char, 29> text;  // 28 characters and a zero
  const int length = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(size));
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length)};
}

}  // namespace weir::websocket
