// test/fuzz/http_head_oracle.h
// What must hold for any bytes given to a HeadReader: the verdict does not depend on how they were
// cut, and a head that was accepted is read back as itself after it was written.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "common/wire/http1_head.h"

namespace weir::http {

template <class Message>
struct Outcome {
  std::vector<Message> heads;
  int status = 0;  // of the refusal
  std::string text;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

template <class Message>
Outcome<Message> read_heads(ByteView bytes, std::size_t step, Limits limits) {
  HeadReader<Message> reader(limits);
  Outcome<Message> outcome;
  while (!bytes.empty()) {
    ByteView piece = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(piece.size());
    while (!piece.empty()) {
      auto head = reader.next(piece);
      if (!head) {
        outcome.status = head.error().status;
        outcome.text = head.error().text;
        return outcome;
      }
      if (*head) outcome.heads.push_back(std::move(**head));
    }
  }
  return outcome;
}

template <class Message>
void check_heads(ByteView bytes) {
  // Small limits, so that short inputs reach them too.
  const Limits small{.head = 256, .line = 96, .header = 64, .count = 6, .empty_lines = 2};
  for (const Limits& limits : {Limits{}, small}) {
    const auto whole = read_heads<Message>(bytes, bytes.size(), limits);
    for (const std::size_t step : {1, 3, 17}) {
      if (read_heads<Message>(bytes, step, limits) != whole) std::abort();
    }
    for (const Message& head : whole.heads) {
      if (head.headers.has("Content-Length") && head.headers.has("Transfer-Encoding")) std::abort();
      std::string text;
      write(head, text);
      const auto again = read_heads<Message>(as_bytes(text), text.size(),
                                             {.head = 1 << 20, .line = 1 << 20, .header = 1 << 20});
      if (again.heads.size() != 1 || again.heads[0] != head) std::abort();
    }
  }
}

}  // namespace weir::http
