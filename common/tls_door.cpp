#include "common/tls_door.h"

#include "common/log.h"

namespace weir {
namespace {

constexpr std::string_view kHttp2 = "h2";

// What a listener and the handshakes that it has begun have in common: these may outlive it.
struct Doorway {
  TlsDoor& door;
  OverTls what;
  Serve serve;
};

// As accept_tls() takes them.
std::string applications_of(const Doorway& way) {
  if (way.what != OverTls::Http) return {};
  return way.door.http2 ? "\x02h2\x08http/1.1" : "\x08http/1.1";
}

// Null: none are configured.
std::shared_ptr<const TlsServer::Shelf> read_certificates(TlsServer& server, const Config& config) {
  const std::string& certificates = config.text("tls.certificates");
  if (certificates.empty()) return nullptr;
  auto shelf = server.read(certificates);
  if (!shelf) throw ConfigError("tls.certificates: " + shelf.error().text);
  return std::move(*shelf);
}

void count(Metrics& metrics, const Result<TlsAgreement>& agreed) {
  if (agreed)
    metrics
        .counter("weir_tls_handshakes_total", "TLS handshakes of clients that came to an end.",
                 {{"version", agreed->version}, {"resumed", agreed->resumed ? "yes" : "no"}})
        .Increment();
  else
    metrics
        .counter("weir_tls_handshake_failures_total",
                 "TLS handshakes of clients that failed, by reason.",
                 {{"reason", std::string(name(agreed.error().code))}})
        .Increment();
}

Task<void> pass(std::shared_ptr<const Doorway> way, std::unique_ptr<Socket> client,
                std::shared_ptr<void> ticket) {
  const Deadline deadline = client->loop().in(way->door.handshake_timeout.load());
  auto agreed =
      co_await accept_tls(*client, way->door.server.context(), deadline, applications_of(*way));
  count(way->door.metrics, agreed);
  if (!agreed) {
    log::debug("TLS handshake failed", {{"peer", client->peer().text()},
                                        {"reason", name(agreed.error().code)},
                                        {"error", agreed.error().text}});
    co_return;
  }
  if (agreed->application == kHttp2)
    co_await way->door.serve_http2(std::move(client), std::move(ticket), way->serve,
                                   way->door.stall.load());
  else
    co_await way->serve(std::move(client), std::move(ticket));
}

}  // namespace

TlsDoor::TlsDoor(const Config& config, Metrics& registry, Http2 serves_http2)
    : handshake_timeout(config.duration("tls.handshake_timeout")),
      http2(config.boolean("tls.http2")),
      stall(config.duration("viewer.stall_timeout")),
      serve_http2(serves_http2),
      metrics(registry) {
  server.show(read_certificates(server, config));
  metrics.gauge("weir_tls_kernel", "Whether the kernel encrypts what is sent over TLS (kTLS).")
      .Set(kernel_has_tls() ? 1 : 0);
}

Reload::Part TlsDoor::part() {
  return [this](const Config&, const Config& after) -> Reload::Commit {
    return [this, shelf = read_certificates(server, after),
            timeout = after.duration("tls.handshake_timeout"),
            patience = after.duration("viewer.stall_timeout"),
            offer = after.boolean("tls.http2")]() mutable {
      // Handshakes that have begun may still ask, though the last listener is gone.
      if (shelf) server.show(std::move(shelf));
      handshake_timeout = timeout;
      stall = patience;
      http2 = offer;
    };
  };
}

Serve behind_tls(TlsDoor& door, OverTls what, Serve serve) {
  auto way = std::make_shared<const Doorway>(door, what, std::move(serve));
  return [way](std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
    return pass(way, std::move(client), std::move(ticket));
  };
}

}  // namespace weir
