// proxy/access/verdicts.h
// What was said lately about those who come with one request after another, so that nobody is asked
// about each of them. Verdicts have keys; who wants to know a key that is being asked about waits for
// that answer, on whichever loop.
//
// With a verdict a thing can be held, which is let go when the verdict has grown old: the grant of a
// viewer over HTTP, whose end nobody else notices.
//
// Threading: any loop. Bounds: kMax verdicts; beyond them nothing more is remembered, and who comes
// is asked about each time.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/access/access_request.h"
#include "common/io/broadcast.h"

namespace weir {

class Verdicts {
 public:
  static constexpr std::size_t kMax = 200'000;
  static constexpr milliseconds kRefused{1000};  // how long a no is remembered
  static constexpr milliseconds kPatience{30'000};

  struct Answer {
    std::optional<AccessRefusal> refusal{};  // nothing: yes
    std::shared_ptr<void> held{};
  };
  using Ask = std::function<Task<Answer>()>;

  // Whether there is a yes. With `again` it holds from now on for that long.
  bool allows(const std::string& key, Clock::time_point now,
              std::optional<milliseconds> again = std::nullopt);
  void allow(const std::string& key, std::shared_ptr<void> held, Clock::time_point until);

  // The verdict that there is, or that of `ask`, which is called here and at one place at a time. A
  // yes is remembered for `lifetime`.
  Task<Answer> settle(std::string key, milliseconds lifetime, Ask ask);

  // Lets go what has grown old in a part of the table; over kParts calls, in all.
  void sweep(Clock::time_point now);
  void clear();
  std::size_t size() const;

 private:
  static constexpr std::size_t kParts = 16;
  struct Question {
    Broadcast answered;
  };
  struct Entry {
    Answer answer{};
    Clock::time_point until{};
    std::shared_ptr<Question> asking{};  // not null: there is no answer yet
  };
  struct Part {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Entry> entries;
  };

  Part& part_of(const std::string& key);
  // The verdict; else whom to wait for; neither: the caller is to ask.
  struct Found {
    std::optional<Answer> answer{};
    std::shared_ptr<Question> asking{};
    Broadcast::Ticket seen = 0;
  };
  Found find_or_begin(const std::string& key, Clock::time_point now);
  void finish(const std::string& key, const Answer& answer, Clock::time_point until);

  std::array<Part, kParts> parts_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace weir
