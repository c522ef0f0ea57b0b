#include "proxy/routing_setup.h"

#include <Poco/Net/DatagramSocket.h>
#include <Poco/Net/NetException.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "common/config_sources.h"
#include "common/log.h"
#include "proxy/hop_mark.h"
#include "proxy/upstream_connection.h"

namespace weir {
namespace {

std::shared_ptr<const UpstreamTls> tls_of(const UpstreamConfig& section) {
  const bool verified = section.tls_verify;
  auto context = TlsContext::client(
      section.tls_ca, verified ? TlsContext::Verify::Peer : TlsContext::Verify::Nobody);
  if (!context) throw ConfigError("upstream." + section.name + ".tls_ca: " + context.error().text);
  if (!verified)
    log::warn("certificates of an upstream are not verified: anybody may pretend to be it",
              {{"upstream", section.name}});
  return std::make_shared<UpstreamTls>(std::move(*context), section.tls_name);
}

Upstream upstream_of(const UpstreamConfig& section) {
  Upstream upstream;
  upstream.id = section.name;
  upstream.host = section.host;
  upstream.zone = section.zone;
  upstream.introduced = section.introduced;
  upstream.weight = static_cast<std::uint32_t>(section.weight);
  if (section.has_tls()) upstream.tls = tls_of(section);
  auto offer = [&](Protocol protocol, const std::optional<Endpoint>& endpoint) {
    if (endpoint) upstream.at(protocol).push_back(*endpoint);
  };
  offer(Protocol::Rtmp, section.rtmp);
  offer(Protocol::Http, section.http);
  offer(Protocol::Api, section.api);
  offer(Protocol::Webrtc, section.webrtc);
  offer(Protocol::Srt, section.srt);
  offer(Protocol::Rtsp, section.rtsp);
  return upstream;
}

// The files are read here, once.
redis::TlsOptions redis_tls_of(const Config& config) {
  auto context = TlsContext::client(config.text("redis.tls_ca"));
  if (!context) throw ConfigError("redis.tls_ca: " + context.error().text);
  if (const auto& certificate = config.text("redis.tls_cert"); !certificate.empty()) {
    auto shown = context->identify(certificate, config.text("redis.tls_key"));
    if (!shown) throw ConfigError("redis.tls_cert, redis.tls_key: " + shown.error().text);
  }
  return {.context = std::move(*context), .server_name = config.text("redis.tls_server_name")};
}

// The address from which this host sends to `to`: what others can most likely send to.
std::string local_address_towards(const Endpoint& to) {
  try {
    Poco::Net::DatagramSocket socket;
    socket.connect(Poco::Net::SocketAddress(to.host, to.port));
    return socket.address().host().toString();
  } catch (const Poco::Exception& error) {
    throw ConfigError(fmt::format("node.advertise: needed, for no way to {} is known: {}",
                                  to_string(to), error.displayText()));
  }
}

// What a proxy tells the others about itself.
Registration self_of(const Config& config, const std::string& node, const EndpointTable& ports,
                     const redis::ServerOptions& server) {
  Registration self;
  self.server = node;
  self.service = random_id();
  self.pid = std::to_string(::getpid());
  self.host = config.text("node.advertise");
  if (self.host.empty())
    self.host =
        local_address_towards(server.sentinels.empty() ? server.server : server.sentinels.front());
  self.endpoints = ports;
  for (auto& endpoints : self.endpoints)
    for (Endpoint& endpoint : endpoints)
      if (endpoint.host.empty() || !config.text("node.advertise").empty())
        endpoint.host = self.host;
  return self;
}

HealthOptions health_of(const Config& config) {
  return {.backoff = config.duration("origin.eject"),
          .backoff_cap = config.duration("origin.eject_max"),
          .slow_start = config.duration("origin.slow_start"),
          .fall = static_cast<std::uint32_t>(config.integer("health.fall")),
          .rise = static_cast<std::uint32_t>(config.integer("health.rise")),
          .probes_talk = config.text("health.check") != "tcp"};
}

Balance balance_of(const Config& config) {
  const std::string& word = config.text("balance");
  if (word != "auto") return *parse_balance(word);
  return config.text("role") == "edge" ? Balance::Rendezvous : Balance::LeastStreams;
}

}  // namespace

HealthCheckOptions health_check_of(const Config& config) {
  return {.check = *parse_health_check(config.text("health.check")),
          .path = config.text("health.path"),
          .interval = config.duration("health.interval"),
          .timeout = config.duration("health.timeout")};
}

Router::Setup router_setup_of(const Config& config) {
  Router::Setup setup{
      .registry = {.lifetime = config.duration("origin.lifetime"),
                   .health = health_of(config),
                   .max = static_cast<std::size_t>(config.integer("origin.max"))},
      .balancer = Balancer(balance_of(config), std::random_device{}(), config.text("node.zone")),
      .routes = {.lifetime = config.duration("route.expire")}};
  for (const auto& section : config.upstreams()) setup.upstreams.push_back(upstream_of(section));
  return setup;
}

Router router_of(const Config& config) {
  Router::Setup setup = router_setup_of(config);
  Router router(setup.registry, std::move(setup.balancer), setup.routes);
  for (Upstream& upstream : setup.upstreams) {
    const std::string id = upstream.id;
    auto configured = router.configure(std::move(upstream));
    if (!configured) throw ConfigError("upstream." + id + ": " + configured.error().text);
  }
  return router;
}

std::optional<SharedRoutingOptions> sharing_of(const Config& config, const std::string& node,
                                               const EndpointTable& ports) {
  const bool edge = config.text("role") == "edge";
  if (config.text(edge ? "upstream.discover" : "state.backend") != "redis") return std::nullopt;
  SharedRoutingOptions options;
  redis::ServerOptions& server = options.state.server;
  server.server = {config.text("redis.host"),
                   static_cast<std::uint16_t>(config.integer("redis.port"))};
  server.sentinels = config.remotes("redis.sentinels");
  server.master_name = config.text("redis.master_name");
  server.user = config.text("redis.user");
  server.password = config.text("redis.password");
  server.db = static_cast<int>(config.integer("redis.db"));
  if (config.boolean("redis.tls")) server.tls = redis_tls_of(config);
  options.state.store = {.prefix = config.text("redis.prefix"),
                         .timeout = config.duration("redis.timeout"),
                         .route_lifetime = config.duration("route.expire"),
                         .member_lifetime = config.duration("origin.lifetime")};
  if (edge)
    options.state.follow = {SharedKind::Proxy};
  else
    options.self = self_of(config, node, ports, server);
  return options;
}

}  // namespace weir
