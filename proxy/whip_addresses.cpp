#include "proxy/whip_addresses.h"

#include <algorithm>

#include "common/io/udp_peer.h"
#include "proxy/host_addresses.h"

namespace weir {

namespace {

// RFC 8839 5.1.2.1: type preference, local preference, component; over UDP first.
constexpr std::uint32_t kUdpPreference = 126;
constexpr std::uint32_t kTcpPreference = 90;

std::uint32_t priority(std::uint32_t preference, std::size_t index) {
  return preference << 24 | static_cast<std::uint32_t>(65535 - index) << 8 | 255;
}

void add(std::vector<Address>& known, const Address& address, std::size_t most) {
  const auto same = [&](const Address& each) { return same_address(each, address); };
  if (known.size() < most && std::ranges::none_of(known, same)) known.push_back(address);
}

}  // namespace

Task<std::vector<sdp::Candidate>> own_candidates(Resolver& resolver, const WhipOptions& options,
                                                 Address reached, Deadline deadline) {
  std::vector<Address> addresses;
  const auto candidates = options.candidates;  // they may change meanwhile
  for (const Endpoint& endpoint : candidates) {
    const std::uint16_t port = endpoint.port != 0 ? endpoint.port : options.media_port;
    auto found = co_await resolver.resolve(endpoint.host, port, deadline);
    if (!found) continue;
    for (const Address& address : *found) add(addresses, address, kMaxCandidates);
  }
  if (options.candidates.empty()) {
    auto all = host_addresses();
    all.insert(all.begin(), *Address::parse(reached.host(), 0));
    for (Address& address : all) {
      address.set_port(options.media_port);
      add(addresses, address, kMaxCandidates);
    }
  }
  std::vector<sdp::Candidate> ours;
  const auto offer = [&](std::uint32_t preference, bool tcp) {
    for (std::size_t i = 0; i < addresses.size(); ++i)
      ours.push_back({.address = addresses[i].host(),
                      .port = addresses[i].port(),
                      .priority = priority(preference, i),
                      .tcp = tcp});
  };
  offer(kUdpPreference, false);
  if (options.tcp) offer(kTcpPreference, true);
  co_return std::move(ours);
}

Task<std::vector<Address>> media_addresses(Resolver& resolver, const Upstream& upstream,
                                           const sdp::Ice& answer, Deadline deadline) {
  std::vector<Address> media;
  for (const Endpoint& endpoint : upstream.at(Protocol::Webrtc)) {
    auto found = co_await resolver.resolve(endpoint.host, endpoint.port, deadline);
    if (!found) continue;
    for (const Address& address : *found) add(media, address, WebrtcSession::kMaxMedia);
  }
  for (const sdp::Candidate& candidate : answer.candidates) {
    if (candidate.tcp) continue;
    auto address = Address::parse(candidate.address, candidate.port);
    if (address) add(media, *address, WebrtcSession::kMaxMedia);
  }
  co_return std::move(media);
}

}  // namespace weir
