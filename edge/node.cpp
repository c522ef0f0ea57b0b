#include "edge/node.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "edge/edge_setup.h"
#include "proxy/routing_setup.h"

namespace weir {

namespace {
constexpr milliseconds kAnswer{1000};

EdgeNode::Ports edge_ports_of(const ProxyNode::Ports& ports) {
  return {.rtmp = ports.rtmp, .http = ports.http, .rtmps = ports.rtmps, .https = ports.https};
}
}  // namespace

Node::Node(Context context, const Config& config, ProxyNode::Ports ports, OpenPorts open)
    : context_(std::move(context)), open_(std::move(open)) {
  const auto& [id, loops, routing, admission, tls, metrics, desk, files, webrtc_store, older] =
      context_;
  admission.trust(trusted_hops_of(config));
  if (config.text("role") == "edge") {
    auto options = edge_options_of(config, id, files);
    options.admission = &admission;
    edge_ = std::make_unique<EdgeNode>(loops, std::move(options), routing, admission, tls, metrics,
                                       edge_ports_of(ports));
  } else {
    auto options = proxy_options_of(config, id, files, ports);
    options.webrtc_store = webrtc_store;
    options.http.admission = &admission;
    proxy_ = std::make_unique<ProxyNode>(loops, std::move(options), routing, admission, tls,
                                         metrics, ports, older);
  }
  open_api(config, ports);
}

Node::~Node() { drop_offer(); }

void Node::drop_offer() {
  for (const int fd : std::exchange(passes_, {})) ::close(fd);
}

ProxyNode::Sharing Node::sharing(std::vector<int> passes, const std::string& secret) {
  ProxyNode::Sharing older;
  older.passes = std::move(passes);
  SrtCookies::Key key;
  if (secret.size() == key.size()) {
    std::ranges::copy(secret, key.begin());
    older.cookies = SrtCookies(key);
  }
  return older;
}

Result<Successor::Offer> Node::offer() {
  Successor::Offer offer;
  if (!proxy_) return offer;
  drop_offer();
  for (std::size_t i = 0; i < context_.loops.size(); ++i) {
    auto ends = PacketPass::open();
    if (!ends) return std::unexpected(ends.error());
    passes_.push_back(ends->first);
    offer.passes.push_back(ends->second);
  }
  const auto& key = proxy_->cookies().key();
  offer.secret.assign(key.begin(), key.end());
  return offer;
}

void Node::hand_over() {
  if (proxy_) proxy_->hand_over(std::exchange(passes_, {}));
}

void Node::open_api(const Config& config, const ProxyNode::Ports& ports) {
  PublicApi::Signalling signalling;
  if (proxy_) signalling = [this](const Loop& loop) { return proxy_->signalling(loop); };
  api_ = std::make_unique<PublicApiNode>(
      context_.loops, context_.desk, context_.tls, public_api_options_of(config),
      static_cast<std::size_t>(config.integer("limits.per_address")), signalling);
  api_->trust(trusted_hops_of(config));
  api_->listen(ports.api, ports.api_https);
}

Reload::Part Node::part() {
  return [this](const Config&, const Config& after) { return prepare(after); };
}

Reload::Commit Node::prepare(const Config& after) {
  auto opener = std::make_unique<PortOpener>(context_.loops.size(), open_);
  const ProxyNode::Ports ports = open_ports(after, *opener);
  static_cast<void>(router_of(after));  // would it be taken?
  auto setup = router_setup_of(after);
  auto health = health_check_of(after);
  auto reconfigure = [this, opener = std::move(opener), setup = std::move(setup),
                      health = std::move(health), hops = trusted_hops_of(after), ports]() mutable {
    context_.admission.trust(hops);
    api_->trust(hops);
    context_.routing.reconfigure(std::move(setup), std::move(health));
    open_ = opener->keep();
    api_->listen(ports.api, ports.api_https);
  };
  if (edge_) {
    auto options = edge_options_of(after, context_.id, context_.files);
    options.admission = &context_.admission;
    return [this, reconfigure = std::move(reconfigure), options = std::move(options),
            ports]() mutable {
      reconfigure();
      edge_->apply(options, edge_ports_of(ports));
    };
  }
  auto options = proxy_options_of(after, context_.id, context_.files, ports);
  options.http.admission = &context_.admission;
  return
      [this, reconfigure = std::move(reconfigure), options = std::move(options), ports]() mutable {
        reconfigure();
        proxy_->apply(std::move(options), ports);
      };
}

ControlView::Streams Node::streams() {
  if (!edge_) return nullptr;
  return [this] { return edge_->streams(kAnswer); };
}

void Node::stop_accepting() {
  if (edge_) edge_->stop_accepting();
  if (proxy_) proxy_->stop_accepting();
  api_->stop_signalling();
}

void Node::stop_answering() { api_->listen({}, {}); }

Reload::Part limits_part(Admission& admission) {
  return [&admission](const Config&, const Config& after) -> Reload::Commit {
    return [&admission, level = log::level_named(after.text("log.level")),
            total = static_cast<std::size_t>(after.integer("limits.connections")),
            per_address = static_cast<std::size_t>(after.integer("limits.per_address"))] {
      log::set_level(level);
      admission.limit(total, per_address);
    };
  };
}

}  // namespace weir
