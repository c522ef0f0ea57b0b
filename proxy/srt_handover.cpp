#include "proxy/srt_handover.h"

#include <sys/socket.h>
#include <unistd.h>

namespace weir {

namespace {

void send_on(const SrtLoan& loan, ByteView packet, Clock::time_point now) {
  static_cast<void>(::send(loan.fd, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  loan.pulse->heard.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  loan.pulse->bytes.fetch_add(packet.size(), std::memory_order_relaxed);
}

}  // namespace

void SrtDirectory::add(const SrtKey& key, SrtHome home) {
  const std::lock_guard lock(mutex_);
  homes_[key] = home;
}

void SrtDirectory::remove(const SrtKey& key) {
  const std::lock_guard lock(mutex_);
  homes_.erase(key);
}

std::optional<SrtHome> SrtDirectory::find(const SrtKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = homes_.find(key);
  if (found == homes_.end()) return std::nullopt;
  return found->second;
}

SrtBorrowed::~SrtBorrowed() {
  for (const auto& [key, flow] : flows_)
    if (flow.loan.fd >= 0) ::close(flow.loan.fd);
}

bool SrtBorrowed::may_ask(Clock::time_point now) {
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    asked_ = 0;
  }
  return asked_++ < kLookups;
}

void SrtBorrowed::take(const SrtKey& key, SrtLoan loan, Clock::time_point now) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) {
    ::close(loan.fd);
    return;
  }
  Flow& flow = found->second;
  flow.loan = std::move(loan);
  for (const ByteBuffer& packet : std::exchange(flow.early, {})) send_on(flow.loan, packet, now);
}

void SrtBorrowed::drop(const SrtKey& key) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return;
  if (found->second.loan.fd >= 0) ::close(found->second.loan.fd);
  flows_.erase(found);
}

std::optional<SrtHome> SrtBorrowed::pass(const SrtKey& key, ByteView packet,
                                         Clock::time_point now) {
  if (flows_.empty()) return std::nullopt;
  const auto found = flows_.find(key);
  if (found == flows_.end()) return std::nullopt;
  Flow& flow = found->second;
  if (flow.loan.fd >= 0)
    send_on(flow.loan, packet, now);
  else if (flow.early.size() < kEarly)
    flow.early.emplace_back(packet.begin(), packet.end());
  return flow.home;
}

}  // namespace weir
