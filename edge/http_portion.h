// edge/http_portion.h
// What of a reply goes out next: lines of text, bytes of a body, a few characters behind them. In
// one sendmsg if the kernel takes it: no byte of the body is copied on this side of it.
//
// Threading: the client's loop. Bounds: kMaxPieces of the body in one write.
#pragma once

#include <array>

#include "cache/http_body.h"
#include "common/io/socket.h"
#include "common/metrics.h"

namespace weir {

struct HttpPortion {
  static constexpr std::size_t kMaxPieces = 64;

  std::array<std::string_view, 3> before = {};
  std::uint64_t body = 0;  // bytes of the reader
  std::string_view after = {};

  // As much as the kernel takes now, off what is left; whether that was all. Errors: the socket's.
  Result<bool> push(Socket& to, HttpBody::Reader* reader, Tally& sent);
};

// All of it. What it refers to must stay until then.
Task<Result<void>> send(Socket& to, HttpPortion portion, HttpBody::Reader* reader, Tally& sent,
                        milliseconds stall);

}  // namespace weir
