#include "proxy/public_api_node.h"

namespace weir {

struct PublicApiNode::PerLoop {
  PublicApi api;
  ServedPort plain;
  ServedPort encrypted;
};

PublicApiNode::PublicApiNode(LoopGroup& loops, SystemDesk& desk, TlsDoor& tls,
                             PublicApi::Options options, std::size_t per_address,
                             const PublicApi::Signalling& signalling)
    : loops_(loops), tls_(tls), admission_(kMaxConnections, per_address), per_loop_(loops.size()) {
  options.admission = &admission_;
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())].reset(
        new PerLoop{PublicApi(loop, desk, options, signalling), {}, {}});
  });
}

void PublicApiNode::listen(const std::vector<int>& plain, const std::vector<int>& encrypted) {
  loops_.on_each([&](Loop& loop) {
    PerLoop& part = *per_loop_[static_cast<std::size_t>(loop.index())];
    const Serve serve = std::bind_front(&PublicApi::serve, &part.api);
    part.plain.take_up(loop, plain, admission_, serve);
    part.encrypted.take_up(loop, encrypted, admission_, behind_tls(tls_, OverTls::Http, serve));
  });
}

void PublicApiNode::stop_signalling() {
  loops_.on_each([this](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())]->api.stop_signalling();
  });
}

PublicApiNode::~PublicApiNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
