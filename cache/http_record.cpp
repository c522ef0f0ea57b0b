#include "cache/http_record.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

#include "common/wire/http1_head.h"

namespace weir {

namespace {

// version, age, lifetime, stale_while_revalidate, stale_if_error, never_stale; then the head.
constexpr int kVersion = 1;

// Takes a number and the character after it off the front of `text`.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() + text.size()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return value;
}

std::optional<http::Response> parse_head(std::string_view text) {
  http::ResponseReader reader;
  ByteView input = as_bytes(text);
  auto head = reader.next(input);
  if (!head || !*head) return std::nullopt;
  return std::move(**head);
}

}  // namespace

bool fits_tier(const HttpObject& object) {
  return object.kind() == HttpKind::Segment && object.status() == 200 && object.vary().empty() &&
         object.body()->complete() && !object.freshness().always_validate;
}

TierObject to_tier(const HttpObjectRef& object, Clock::time_point now, TierObject::Time wall) {
  const HttpFreshness freshness = object->freshness();
  const milliseconds age = object->age(now);
  TierObject record;
  record.head =
      fmt::format("{} {} {} {} {} {}\n{}\r\n", kVersion, age.count(), freshness.lifetime.count(),
                  freshness.stale_while_revalidate.count(), freshness.stale_if_error.count(),
                  int{freshness.never_stale}, object->head());
  // It is given back with the age that it had, which the tier's own time adds to.
  record.stored = wall;
  record.expires = wall + std::chrono::ceil<std::chrono::seconds>(freshness.lifetime +
                                                                  freshness.stale_if_error - age);
  auto reader = object->body()->read(0);
  iovec piece;
  while (reader && reader->pieces({&piece, 1}, UINT64_MAX) == 1) {
    record.body.push_back(
        {.bytes = {static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len},
         .owner = object->body()});
    reader->advance(piece.iov_len);
  }
  return record;
}

HttpObjectRef from_tier(const TierObject& record, std::shared_ptr<MemoryUse> memory,
                        Clock::time_point now, TierObject::Time wall) {
  std::string_view rest = record.head;
  std::array<std::int64_t, 6> numbers;
  for (auto& number : numbers) {
    const auto taken = take_number(rest);
    if (!taken || *taken < 0) return nullptr;
    number = *taken;
  }
  auto response = parse_head(rest);
  if (numbers[0] != kVersion || !response) return nullptr;
  const auto kept = std::chrono::duration_cast<milliseconds>(wall - record.stored);
  auto body = std::make_shared<HttpBody>(memory, record.body_size());
  for (const SharedBytes& piece : record.body) body->append(piece.bytes);
  body->finish();
  return std::make_shared<HttpObject>(
      HttpObject::Parts{
          .response = std::move(*response),
          .vary = {},
          .kind = HttpKind::Segment,
          .freshness = {.initial_age = milliseconds(numbers[1]) + std::max(kept, milliseconds(0)),
                        .lifetime = milliseconds(numbers[2]),
                        .stale_while_revalidate = milliseconds(numbers[3]),
                        .stale_if_error = milliseconds(numbers[4]),
                        .never_stale = numbers[5] != 0},
          .received = now,
          .body = std::move(body)},
      memory);
}

}  // namespace weir
