// proxy/upstream.h
// A server that this node relays to or pulls from: who it is and where each of its
// protocols listens.
//
// Immutable once made. A heartbeat that changes an address makes a new Upstream, so whoever holds
// the old one (a session in the middle of connecting, a snapshot on its way to the control API) is
// not disturbed and needs no lock.
//
// Threading: immutable; any thread may read one.
// Bounds: those of its makers (registration.h, the configuration).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "proxy/upstream_health.h"

namespace weir {

enum class Protocol { Rtmp, Http, Api, Webrtc, Srt, Rtsp };
inline constexpr std::size_t kProtocolCount = 6;

// The option's name in an [upstream.NAME] section: "rtmp", "http", "api", "webrtc", "srt", "rtsp".
std::string_view name(Protocol protocol);

enum class Knowledge {
  Configured,  // stands in the configuration: never expires
  Registered,  // announced itself by heartbeat: lives as long as they come
};

using EndpointTable = std::array<std::vector<Endpoint>, kProtocolCount>;

struct UpstreamTls;  // proxy/upstream_connection.h

struct Upstream {
  std::string id;       // the name in the configuration, or the server id of the heartbeat
  std::string service;  // changes with every start of the process behind it; empty when configured
  std::string pid;
  std::string device_id;
  std::string host;
  std::string zone{};  // where it stands; empty: nobody said
  EndpointTable endpoints;
  std::uint32_t weight = 1;  // share of new streams; 0 takes them only when nobody else can
  Knowledge knowledge = Knowledge::Configured;
  bool introduced = false;                   // its TCP connections begin with a PROXY header
  std::shared_ptr<const UpstreamTls> tls{};  // null: none of its endpoints is over TLS

  // In the order to try them. Empty: it does not speak this protocol.
  const std::vector<Endpoint>& at(Protocol protocol) const {
    return endpoints[static_cast<std::size_t>(protocol)];
  }
  std::vector<Endpoint>& at(Protocol protocol) {
    return endpoints[static_cast<std::size_t>(protocol)];
  }
  bool speaks(Protocol protocol) const { return !at(protocol).empty(); }

  // Which life of the server this is: equal for equal service ids, in every proxy, without talking.
  std::uint64_t generation() const;
};

using UpstreamPtr = std::shared_ptr<const Upstream>;

// What metrics and the control API show of one upstream.
struct UpstreamState {
  UpstreamPtr upstream;
  bool alive = true;                                     // configured, or its heartbeat is fresh
  bool drained = false;                                  // gets no new streams
  std::optional<std::chrono::milliseconds> ejected_for;  // time left out of use; none: in use
  Probes probes = Probes::Unknown;                       // what active probes say
  std::size_t routes = 0;                                // streams that would be sent there
  std::size_t streams = 0;                               // streams with a live session there
  std::uint64_t failures = 0;
  std::uint64_t ejections = 0;

  bool ejected() const { return ejected_for.has_value(); }
};

std::string_view name(Probes probes);

// FNV-1a over the bytes, then the finaliser of SplitMix64, which spreads the last bytes over all
// bits. Fixed for ever: proxies of different versions and machines must agree on it, which
// std::hash does not promise.
std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0);

}  // namespace weir
