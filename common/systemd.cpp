#include "common/systemd.h"

#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "common/log.h"

namespace weir {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
// Asked twice within the time that is given, and a third of it to answer.
constexpr int kFeedings = 3;
constexpr std::chrono::milliseconds kShortest{10};

std::string_view variable(const Variables& environment, std::string_view name) {
  const auto found = std::ranges::find(environment, name, &Variables::value_type::first);
  return found == environment.end() ? std::string_view{} : std::string_view(found->second);
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

}  // namespace

Systemd::Systemd(const Variables& environment) {
  address_ = variable(environment, "NOTIFY_SOCKET");
  if (address_.size() < 2 || address_.size() >= sizeof(sockaddr_un::sun_path)) return;
  if (address_[0] != '/' && address_[0] != '@') return;
  if (address_[0] == '@') address_[0] = '\0';
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return;
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);

  const auto meant_for = variable(environment, "WATCHDOG_PID");
  if (!meant_for.empty() && number(meant_for) != ::getpid()) return;
  if (const auto given = number(variable(environment, "WATCHDOG_USEC")))
    interval_ = std::max(kShortest, std::chrono::duration_cast<milliseconds>(
                                        std::chrono::microseconds(*given) / kFeedings));
}

Systemd::~Systemd() {
  if (socket_ >= 0) ::close(socket_);
}

void Systemd::ready(std::string_view status) { send(fmt::format("READY=1\nSTATUS={}", status)); }

void Systemd::reloading() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.count()));
}

void Systemd::main_is(int pid) {
  send(fmt::format("MAINPID={}", pid));
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  interval_.reset();
}

void Systemd::stopping(milliseconds longest) {
  send(fmt::format("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={}",
                   std::chrono::microseconds(longest).count()));
}

void Systemd::keep_alive(const std::function<bool(milliseconds)>& well, Clock::time_point now) {
  if (!interval_ || now < due_) return;
  due_ = now + *interval_;
  if (well(*interval_))
    send("WATCHDOG=1");
  else
    log::error("a loop does not answer");
}

void Systemd::send(const std::string& lines) {
  if (socket_ < 0) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, address_.data(), address_.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  const auto sent = ::sendto(socket_, lines.data(), lines.size(), MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&address), length);
  if (sent < 0) log::warn("the service manager does not listen", {{"error", std::strerror(errno)}});
}

}  // namespace weir
