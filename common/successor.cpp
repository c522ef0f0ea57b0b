#include "common/successor.h"

#include <spawn.h>
#include <spdlog/fmt/fmt.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "common/config_sources.h"
#include "common/predecessor.h"
#include "common/signals_blocked.h"

namespace weir {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTell{1000};

// Without what was meant for this process alone.
std::vector<std::string> environment_for_successor() {
  std::vector<std::string> lines;
  for (const auto& [name, value] : process_environment())
    if (name != "WATCHDOG_PID" && name != Predecessor::kVariable)
      lines.push_back(name + '=' + value);
  lines.push_back(fmt::format("{}={}", Predecessor::kVariable, Predecessor::kDescriptor));
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Successor::Offer::~Offer() {
  for (const int fd : passes) ::close(fd);
}

Successor::~Successor() {
  ending_ = true;
  if (channel_) channel_->shut();
  if (thread_.joinable()) thread_.join();
}

Result<void> Successor::start(Offer offer, milliseconds patience, Done done) {
  if (under_way_.exchange(true)) return fail(Errc::Busy, "an upgrade is under way");
  if (thread_.joinable()) thread_.join();
  auto ends = HandoverChannel::make();
  auto child = ends ? spawn(ends->second.fd()) : std::unexpected(ends.error());
  if (!child) {
    under_way_ = false;
    return std::unexpected(child.error());
  }
  child_ = *child;
  channel_ = std::make_unique<HandoverChannel>(std::move(ends->first));
  const SignalsBlocked in_new_thread;
  thread_ =
      std::thread([this, offer = std::move(offer), patience, done = std::move(done)]() mutable {
        const Offer once = std::move(offer);
        converse(once, patience, done);
      });
  return {};
}

Result<int> Successor::spawn(int channel) const {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, channel, Predecessor::kDescriptor);
  posix_spawn_file_actions_addclosefrom_np(&files, Predecessor::kDescriptor + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  auto arguments = arguments_;
  auto environment = environment_for_successor();
  pid_t child = -1;
  const int status = ::posix_spawnp(&child, arguments.front().c_str(), &files, &attributes,
                                    pointers(arguments).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (status != 0)
    return fail(Errc::System, fmt::format("{}: {}", arguments.front(), std::strerror(status)));
  return child;
}

void Successor::converse(const Offer& offer, milliseconds patience, const Done& done) {
  auto ready = offer_all(offer);
  // What it said before it went is the better reason.
  if (ready || ready.error().code == Errc::Closed) ready = await_ready(patience);
  if (ready) return done(child_);
  end_child();
  under_way_ = false;
  done(std::unexpected(ready.error()));
}

Result<void> Successor::offer_all(const Offer& offer) {
  auto told = channel_->send("workers", std::to_string(offer.workers));
  if (told) told = channel_->send("node", offer.node);
  for (const auto& [name, descriptors] : offer.ports) {
    for (std::size_t at = 0; told && at < descriptors.size();
         at += HandoverChannel::kMaxDescriptors) {
      const auto end = std::min(at + HandoverChannel::kMaxDescriptors, descriptors.size());
      told = channel_->send("port", name, {&descriptors[at], &descriptors[end - 1] + 1});
    }
  }
  for (std::size_t at = 0; told && at < offer.passes.size(); ++at)
    told = channel_->send("pass", std::to_string(at), {offer.passes[at]});
  if (told) told = channel_->send("secret", offer.secret);
  for (const std::string& state : offer.state)
    if (told) told = channel_->send("state", state);
  if (told) told = channel_->send("begin");
  return told;
}

Result<void> Successor::await_ready(milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    auto heard = channel_->receive(std::max(left, milliseconds{0}));
    if (!heard) return std::unexpected(heard.error());
    if (heard->verb == "ready") return {};
    if (heard->verb == "failed") return fail(Errc::Unavailable, heard->text);
  }
}

void Successor::end_child() {
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

void Successor::confirm(State state) {
  static_cast<void>(channel_->send("main"));
  if (thread_.joinable()) thread_.join();
  const SignalsBlocked in_new_thread;
  thread_ = std::thread([this, state = std::move(state)] {
    while (!ending_) {
      for (const std::string& each : state())
        if (!channel_->send("state", each)) return;
      // Nothing comes; this is a pause that its end interrupts.
      auto heard = channel_->receive(kTell);
      if (!heard && heard.error().code != Errc::Timeout) return;
    }
  });
}

}  // namespace weir
