#include "edge/merge_window.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace std::chrono_literals;

namespace {

// A clock that moves on by one review at a time.
struct Reviews {
  MergeWindow& window;
  Clock::time_point now = Clock::time_point{} + 1h;

  milliseconds at(double utilisation, int times = 1) {
    for (int i = 0; i < times; ++i) {
      now += MergeWindow::kReview;
      window.review(utilisation, now);
    }
    return window.current();
  }
};

constexpr double kIdle = 0.01;

}  // namespace

TEST_CASE("a busy loop widens its window step by step up to the maximum", "[merge_window]") {
  MergeWindow window(std::nullopt, 350ms);
  Reviews reviews{window};
  CHECK(window.current() == 0ms);
  CHECK(reviews.at(0.9) == MergeWindow::kSmallest);
  milliseconds before = window.current();
  while (before < 350ms) {
    const milliseconds wider = reviews.at(0.9);
    REQUIRE(wider > before);
    REQUIRE(wider <= 350ms);
    before = wider;
  }
  CHECK(reviews.at(1.0, 100) == 350ms);
}

TEST_CASE("a full loop widens its window in leaps", "[merge_window]") {
  MergeWindow window(std::nullopt, 350ms);
  Reviews reviews{window};
  CHECK(reviews.at(1.0) == MergeWindow::kLeap * MergeWindow::kSmallest);
  CHECK(reviews.at(1.0) == 160ms);
  CHECK(reviews.at(1.0) == 350ms);
}

TEST_CASE("a loop with time to spare narrows its window to nothing", "[merge_window]") {
  MergeWindow window(std::nullopt, 350ms);
  Reviews reviews{window};
  reviews.at(0.9, 100);
  milliseconds before = window.current();
  while (before > 0ms) {
    const milliseconds narrower = reviews.at(0.1);
    REQUIRE(narrower < before);
    before = narrower;
  }
  CHECK(reviews.at(0.1) == 0ms);
}

TEST_CASE("between easy and busy, bounds included, a window stays as it is", "[merge_window]") {
  MergeWindow window(std::nullopt, 350ms);
  Reviews reviews{window};
  reviews.at(0.9, 3);
  const milliseconds settled = window.current();
  for (const double utilisation : {MergeWindow::kEasy, 0.6, MergeWindow::kBusy})
    CHECK(reviews.at(utilisation, 10) == settled);
  CHECK(reviews.at(MergeWindow::kBusy + 0.01) > settled);
}

TEST_CASE("a window is looked at once a review period", "[merge_window]") {
  MergeWindow window(std::nullopt, 350ms);
  Reviews reviews{window};
  const milliseconds first = reviews.at(0.9);
  window.review(0.9, reviews.now + MergeWindow::kReview - 1ms);
  CHECK(window.current() == first);
  window.review(0.9, reviews.now + MergeWindow::kReview);
  CHECK(window.current() > first);
}

TEST_CASE("a pinned window never moves", "[merge_window]") {
  const milliseconds pinned = GENERATE(0ms, 100ms, 500ms);
  MergeWindow window(pinned, 350ms);
  Reviews reviews{window};
  CHECK(window.current() == pinned);
  CHECK(reviews.at(1.0, 10) == pinned);
  CHECK(reviews.at(0.0, 10) == pinned);
}

TEST_CASE("a maximum of nothing keeps the window shut", "[merge_window]") {
  MergeWindow window(std::nullopt, 0ms);
  Reviews reviews{window};
  CHECK(reviews.at(1.0, 10) == 0ms);
}

TEST_CASE("audio waits for a frame once the loop has something to do, pinned or not",
          "[merge_window]") {
  const std::optional<milliseconds> pinned =
      GENERATE(std::optional<milliseconds>{}, std::optional{100ms});
  MergeWindow window(pinned, 350ms);
  Reviews reviews{window};
  CHECK(window.audio_patience() == 0ms);
  reviews.at(MergeWindow::kAudioWaits + 0.01);
  CHECK(window.audio_patience() == MergeWindow::kFrame);
  reviews.at(kIdle);
  CHECK(window.audio_patience() == 0ms);
}
