#include "proxy/public_api_node.h"

namespace weir {

struct PublicApiNode::PerLoop {
  PublicApi api;
  std::unique_ptr<Listener> listener;
};

PublicApiNode::PublicApiNode(LoopGroup& loops, SystemDesk& desk, PublicApi::Options options,
                             std::size_t per_address, const PublicApi::Signalling& signalling)
    : loops_(loops), admission_(kMaxConnections, per_address), per_loop_(loops.size()) {
  loops.on_each([&](Loop& loop) {
    per_loop_[static_cast<std::size_t>(loop.index())].reset(
        new PerLoop{PublicApi(loop, desk, options, signalling), nullptr});
  });
}

void PublicApiNode::listen(const std::vector<int>& descriptors) {
  if (descriptors == descriptors_) return;
  descriptors_ = descriptors;
  loops_.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    PerLoop& part = *per_loop_[index];
    if (part.listener) part.listener->take_waiting();
    part.listener.reset();
    if (descriptors.empty()) return;
    part.listener = serve_clients(loop, descriptors[index], admission_,
                                  std::bind_front(&PublicApi::serve, &part.api));
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
