#include "cache/timeline.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

constexpr auto kVideo = flv::TagType::Video;
constexpr auto kAudio = flv::TagType::Audio;

}  // namespace

TEST_CASE("the first source's timestamps are kept", "[timeline]") {
  Timeline timeline;
  CHECK(timeline.map(kVideo, 5000) == 5000);
  CHECK(timeline.map(kAudio, 5010) == 5010);
  CHECK(timeline.map(kVideo, 5040) == 5040);
}

TEST_CASE("a new source goes on where the one before ended, earlier or later of clock",
          "[timeline]") {
  const std::uint32_t start = GENERATE(0u, 1020u, 900'000u, 0xffff'fff0u);
  Timeline timeline;
  timeline.map(kVideo, 1000);
  timeline.map(kAudio, 1010);
  timeline.new_source();
  CHECK(timeline.map(kVideo, start) == 1010 + Timeline::kStepMs);
  CHECK(timeline.map(kAudio, start + 7) == 1017 + Timeline::kStepMs);
  CHECK(timeline.map(kVideo, start + 40) == 1050 + Timeline::kStepMs);
}

TEST_CASE("a new source before the first packet changes nothing", "[timeline]") {
  Timeline timeline;
  timeline.new_source();
  CHECK(timeline.map(kVideo, 777) == 777);
  CHECK(timeline.map(kVideo, 817) == 817);
}

TEST_CASE("audio a little older than the new source's first picture does not run back",
          "[timeline]") {
  Timeline timeline;
  timeline.map(kVideo, 1000);
  timeline.new_source();
  CHECK(timeline.map(kVideo, 100) == 1020);
  CHECK(timeline.map(kAudio, 80) == 1020);
  CHECK(timeline.map(kAudio, 103) == 1023);
}

TEST_CASE("a pause of kJumpAheadMs is kept, a longer one is closed", "[timeline]") {
  Timeline timeline;
  timeline.map(kVideo, 0);
  CHECK(timeline.map(kVideo, Timeline::kJumpAheadMs) == Timeline::kJumpAheadMs);
  const std::uint32_t far = 2 * Timeline::kJumpAheadMs + 1;
  CHECK(timeline.map(kVideo, far) == Timeline::kJumpAheadMs + Timeline::kStepMs);
  CHECK(timeline.map(kAudio, far + 5) == Timeline::kJumpAheadMs + Timeline::kStepMs + 5);
  CHECK(timeline.map(kVideo, far + 40) == Timeline::kJumpAheadMs + Timeline::kStepMs + 40);
}

TEST_CASE("jitter of kJumpBackMs is held, a longer way back is a new beginning", "[timeline]") {
  Timeline timeline;
  timeline.map(kVideo, 10'000);
  CHECK(timeline.map(kVideo, 10'000 - Timeline::kJumpBackMs) == 10'000);
  CHECK(timeline.map(kVideo, 10'040) == 10'040);
  CHECK(timeline.map(kVideo, 10'040 - Timeline::kJumpBackMs - 1) == 10'040 + Timeline::kStepMs);
  CHECK(timeline.map(kVideo, 10'040 - Timeline::kJumpBackMs + 39) == 10'080 + Timeline::kStepMs);
}

TEST_CASE("audio and video each keep their own order", "[timeline]") {
  Timeline timeline;
  timeline.map(kVideo, 1000);
  CHECK(timeline.map(kAudio, 1100) == 1100);
  CHECK(timeline.map(kVideo, 1040) == 1040);
  CHECK(timeline.map(kAudio, 1090) == 1100);  // jitter within audio
  CHECK(timeline.map(kVideo, 1080) == 1080);
}

TEST_CASE("one kind of media may be silent for longer than a pause while the other goes on",
          "[timeline]") {
  Timeline timeline;
  timeline.map(kAudio, 0);
  for (std::uint32_t ms = 0; ms <= 30'000; ms += 40) CHECK(timeline.map(kVideo, ms) == ms);
  CHECK(timeline.map(kAudio, 30'010) == 30'010);
}

TEST_CASE("timestamps go on through 2^32", "[timeline]") {
  Timeline timeline;
  CHECK(timeline.map(kVideo, 0xffff'ffd8) == 0xffff'ffd8);
  CHECK(timeline.map(kAudio, 0xffff'fff0) == 0xffff'fff0);
  CHECK(timeline.map(kVideo, 0) == 0);
  CHECK(timeline.map(kAudio, 7) == 7);
  CHECK(timeline.map(kAudio, 0xffff'fffe) == 7);  // jitter across the wrap
  timeline.new_source();
  CHECK(timeline.map(kVideo, 0xffff'ff00) == 7 + Timeline::kStepMs);
}

TEST_CASE("a source that is changed near 2^32 goes on through it", "[timeline]") {
  Timeline timeline;
  timeline.map(kVideo, 0xffff'fff8);
  timeline.new_source();
  CHECK(timeline.map(kVideo, 50'000) == 12);
  CHECK(timeline.map(kVideo, 50'040) == 52);
}
