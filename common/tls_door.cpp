#include "common/tls_door.h"

#include "common/http/h2_session.h"
#include "common/log.h"

namespace weir {
namespace {

constexpr std::string_view kHttp2 = "h2";

// What a listener and the handshakes that it has begun have in common: these may outlive it.
struct Doorway {
  const TlsDoor& door;
  std::string applications;
  Serve serve;
};

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
  const Deadline deadline = client->loop().in(way->door.options.handshake_timeout);
  auto agreed =
      co_await accept_tls(*client, way->door.server->context(), deadline, way->applications);
  count(way->door.metrics, agreed);
  if (!agreed) {
    log::debug("TLS handshake failed", {{"peer", client->peer().text()},
                                        {"reason", name(agreed.error().code)},
                                        {"error", agreed.error().text}});
    co_return;
  }
  if (agreed->application == kHttp2)
    co_await http::serve_http2(std::move(client), std::move(ticket), way->serve);
  else
    co_await way->serve(std::move(client), std::move(ticket));
}

}  // namespace

TlsDoor::TlsDoor(std::shared_ptr<TlsServer> shows, Options how, Metrics& registry)
    : server(std::move(shows)), options(how), metrics(registry) {
  metrics.gauge("weir_tls_kernel", "Whether the kernel encrypts what is sent over TLS (kTLS).")
      .Set(kernel_has_tls() ? 1 : 0);
}

Serve behind_tls(const TlsDoor& door, OverTls what, Serve serve) {
  std::string applications;
  if (what == OverTls::Http)
    applications = door.options.http2 ? "\x02h2\x08http/1.1" : "\x08http/1.1";
  auto way = std::make_shared<const Doorway>(door, std::move(applications), std::move(serve));
  return [way](std::unique_ptr<Socket> client, std::shared_ptr<void> ticket) {
    return pass(way, std::move(client), std::move(ticket));
  };
}

}  // namespace weir
