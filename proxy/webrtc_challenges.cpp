#include "proxy/webrtc_challenges.h"

#include <openssl/rand.h>

#include "common/check.h"

namespace weir {

namespace {

// "origin's:client's" the other way round.
std::string as_the_origin_says(std::string_view username) {
  const std::size_t colon = username.find(':');
  return std::string(username.substr(colon + 1)) + ':' + std::string(username.substr(0, colon));
}

}  // namespace

stun::Transaction random_transaction() {
  stun::Transaction transaction{};
  INVARIANT(RAND_bytes(transaction.data(), static_cast<int>(transaction.size())) == 1);
  return transaction;
}

bool WebrtcChallenges::add(const Address& client, WebrtcEntryPtr entry, Clock::time_point now) {
  const WebrtcSession::Check& check = entry->session.checks.front();
  if (check.client_password.empty() || waiting_.size() >= kMaxChallenges) return false;
  auto packet = stun::write({.username = as_the_origin_says(check.username),
                             .password = check.client_password,
                             .transaction = random_transaction()});
  waiting_.insert_or_assign(client,
                            Challenge{std::move(entry), &check, std::move(packet), now, {}, 0});
  return true;
}

ByteView WebrtcChallenges::heard(const Address& client, std::size_t size, Clock::time_point now) {
  const auto found = waiting_.find(client);
  if (found == waiting_.end()) return {};
  Challenge& challenge = found->second;
  challenge.credit += size;
  if (challenge.credit < challenge.packet.size() || now - challenge.sent < kAgain) return {};
  challenge.credit = 0;
  challenge.sent = now;
  return challenge.packet;
}

WebrtcEntryPtr WebrtcChallenges::answered(const Address& client, ByteView packet,
                                          const stun::Message& message) {
  const auto found = waiting_.find(client);
  if (found == waiting_.end() || !message.is_success()) return nullptr;
  const Challenge& challenge = found->second;
  const bool ours = stun::transaction_of(packet) == stun::transaction_of(challenge.packet);
  if (!ours || !stun::verifies(packet, message, challenge.check->client_password)) return nullptr;
  auto entry = challenge.entry;
  waiting_.erase(found);
  return entry;
}

void WebrtcChallenges::forget_old(Clock::time_point now) {
  std::erase_if(waiting_, [now](const auto& each) { return now - each.second.began > kLifetime; });
}

}  // namespace weir
