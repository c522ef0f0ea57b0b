#include "common/predecessor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "common/signals_blocked.h"

namespace weir {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOffer{10'000};
constexpr milliseconds kConfirmation{5'000};
constexpr milliseconds kForEver{-1};

}  // namespace

std::unique_ptr<Predecessor> Predecessor::find(const Variables& environment) {
  if (std::ranges::find(environment, kVariable, &Variables::value_type::first) == environment.end())
    return nullptr;
  // For this process alone.
  ::unsetenv(kVariable);
  if (::fcntl(kDescriptor, F_SETFD, FD_CLOEXEC) != 0)
    throw ConfigError(std::string(kVariable) + ": there is no such descriptor");
  std::unique_ptr<Predecessor> found(new Predecessor(kDescriptor));
  found->take_offer();
  return found;
}

void Predecessor::take_offer() {
  while (true) {
    auto heard = channel_.receive(kOffer);
    if (!heard) throw ConfigError(std::string(kVariable) + ": " + heard.error().text);
    auto& [verb, text, descriptors] = *heard;
    if (verb == "begin") return;
    if (verb == "workers") {
      std::from_chars(text.data(), text.data() + text.size(), workers_);
    } else if (verb == "node") {
      node_ = std::move(text);
    } else if (verb == "port") {
      auto& port = ports_[text];
      port.insert(port.end(), descriptors.begin(), descriptors.end());
    } else if (verb == "pass") {
      passes_.insert(passes_.end(), descriptors.begin(), descriptors.end());
    } else if (verb == "secret") {
      secret_ = std::move(text);
    } else if (verb == "state") {
      state_.push_back(std::move(text));
    }
  }
}

Predecessor::~Predecessor() { leave(); }

void Predecessor::leave() {
  channel_.shut();
  if (thread_.joinable()) thread_.join();
}

void Predecessor::failed(const std::string& why) {
  static_cast<void>(channel_.send("failed", why));
}

void Predecessor::ready() {
  if (!channel_.send("ready")) return;
  while (true) {
    auto heard = channel_.receive(kConfirmation);
    if (!heard || heard->verb == "main") return;
  }
}

void Predecessor::follow(std::function<void(const std::string&)> told, std::function<void()> gone) {
  const SignalsBlocked in_new_thread;
  thread_ = std::thread([this, told = std::move(told), gone = std::move(gone)] {
    while (auto heard = channel_.receive(kForEver))
      if (heard->verb == "state") told(heard->text);
    present_ = false;
    gone();
  });
}

}  // namespace weir
