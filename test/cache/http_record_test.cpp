#include "cache/http_record.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

const Clock::time_point kNow = Clock::time_point() + 1h;
const TierObject::Time kWall = TierObject::Time() + 400000h;

struct Segment {
  explicit Segment(HttpFreshness freshness = {.initial_age = 1s, .lifetime = 60s}) {
    auto body = std::make_shared<HttpBody>(memory, std::nullopt);
    body->append(as_bytes(text));
    body->finish();
    object = std::make_shared<HttpObject>(
        HttpObject::Parts{
            .response = {.status = 200, .reason = "OK", .headers = {{"ETag", "\"a\""}}},
            .vary = {},
            .kind = HttpKind::Segment,
            .freshness = freshness,
            .received = kNow,
            .body = std::move(body)},
        memory);
  }
  std::shared_ptr<MemoryUse> memory = std::make_shared<MemoryUse>();
  const std::string text = std::string(100'003, 'x');
  HttpObjectRef object;
};

}  // namespace

TEST_CASE("a segment comes back from the tier as it went, older by the time it was there",
          "[http_record]") {
  Segment segment;
  REQUIRE(fits_tier(*segment.object));
  const TierObject record = to_tier(segment.object, kNow + 2s, kWall);
  CHECK(record.body_size() == segment.text.size());
  CHECK(record.expires == kWall + 57s);

  const auto back = from_tier(record, segment.memory, kNow, kWall + 10s);
  REQUIRE(back);
  CHECK(back->status() == 200);
  CHECK(back->head() == segment.object->head());
  CHECK(back->headers().find("ETag") == "\"a\"");
  CHECK(as_text(back->body()->copy()) == segment.text);
  CHECK(back->body()->complete());
  CHECK(back->age(kNow) == 13s);
  CHECK(back->freshness().lifetime == 60s);
}

TEST_CASE("what has to be asked about each time is no use to the tier", "[http_record]") {
  CHECK_FALSE(fits_tier(*Segment({.lifetime = 60s, .always_validate = true}).object));
}

TEST_CASE("a record that is not understood is a miss", "[http_record]") {
  Segment segment;
  const TierObject good = to_tier(segment.object, kNow, kWall);
  std::string other_version = good.head;
  other_version[0] = '2';
  std::vector<std::string> heads{"", "1 1 1 1 1 -1\nHTTP/1.1 200\r\n\r\n"};
  heads.push_back(other_version);
  heads.push_back(good.head.substr(0, 20));
  heads.push_back(good.head.substr(0, good.head.size() - 2));
  for (const std::string& head : heads) {
    INFO(head);
    TierObject bad = good;
    bad.head = head;
    CHECK(from_tier(bad, segment.memory, kNow, kWall) == nullptr);
  }
}
