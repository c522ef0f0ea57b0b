// proxy/proxy_node.h
// The proxy role, put together: on every loop listeners whose clients are relayed.
//
// Threading: made and let go by main's thread, which runs each part on its loop. Bounds: its
// parts'.
#pragma once

#include <memory>
#include <vector>

#include "common/io/admission.h"
#include "common/io/loop_group.h"
#include "common/listening.h"
#include "common/tls_door.h"
#include "proxy/http_relay.h"
#include "proxy/rtmp_relay.h"
#include "proxy/rtsp_relay.h"
#include "proxy/srt_relay.h"
#include "proxy/webrtc_port.h"

namespace weir {

class ProxyNode {
 public:
  struct Ports {
    std::vector<int> rtmp;  // a descriptor for each loop; empty: off
    std::vector<int> http;
    std::vector<int> rtsp;
    std::vector<int> srt;
    std::vector<int> webrtc_udp;
    std::vector<int> webrtc_tcp;  // the same port
    std::vector<int> rtmps;
    std::vector<int> https;
    std::vector<int> api;        // for a PublicApiNode
    std::vector<int> api_https;  // and the same
  };
  struct Options {
    RtmpRelayOptions rtmp;
    HttpRelayOptions http{.naming = {.on = true}};
    RtspRelayOptions rtsp;
    SrtRelayOptions srt;
    WhipOptions whip{};
    std::size_t webrtc_sessions = 10'000;
    WebrtcStore* webrtc_store = nullptr;  // what other proxies know; may be null
  };

  // Two processes with the same UDP ports, and a PacketPass for each loop between them. The newer one
  // passes on what is of none of its sessions; the older one, from hand_over() on, reads them no more.
  struct Sharing {
    std::vector<int> passes{};  // empty: there is no other
    SrtCookies cookies{};       // of both
  };

  // REQUIRES: the loops run, and outlive this.
  ProxyNode(LoopGroup& loops, Options options, Routing& routing, Admission& admission, TlsDoor& tls,
            Metrics& metrics, const Ports& ports, Sharing older);
  // Other options and ports: sessions that are here go on, with what they are told by the options of
  // now, also those of a port that is none any more.
  void apply(Options options, const Ports& ports);
  const SrtCookies& cookies() const { return srt_cookies_; }
  void hand_over(const std::vector<int>& passes);
  // For signalling that comes in elsewhere, on that loop; none without listen.webrtc.
  std::optional<WhipExchange::Context> signalling(const Loop& loop) const;
  // Takes no more clients. Those who are here go on.
  void stop_accepting();
  // REQUIRES: the loops have been shut down or are idle.
  ~ProxyNode();

 private:
  struct PerLoop;

  LoopGroup& loops_;
  Admission& admission_;
  TlsDoor& tls_;
  Metrics& metrics_;
  WebrtcDirectory webrtc_;
  const SrtCookies srt_cookies_;
  SrtDirectory srt_directory_;
  std::vector<std::unique_ptr<PerLoop>> per_loop_;
};

}  // namespace weir
