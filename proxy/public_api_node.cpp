#include "proxy/public_api_node.h"

namespace weir {

struct PublicApiNode::PerLoop {
  PublicApi api;
  std::unique_ptr<Listener> listener;
};

PublicApiNode::PublicApiNode(LoopGroup& loops, const std::vector<int>& descriptors,
                             SystemDesk& desk, PublicApi::Options options, std::size_t per_address,
                             const Signalling& signalling)
    : loops_(loops), admission_(kMaxConnections, per_address), per_loop_(loops.size()) {
  if (descriptors.empty()) return;
  loops.on_each([&](Loop& loop) {
    const auto index = static_cast<std::size_t>(loop.index());
    auto context = signalling ? signalling(loop) : std::nullopt;
    per_loop_[index].reset(new PerLoop{PublicApi(loop, desk, options, context), nullptr});
    PerLoop& part = *per_loop_[index];
    part.listener = serve_clients(loop, descriptors[index], admission_,
                                  std::bind_front(&PublicApi::serve, &part.api));
  });
}

void PublicApiNode::stop_signalling() {
  loops_.on_each([this](Loop& loop) {
    auto& part = per_loop_[static_cast<std::size_t>(loop.index())];
    if (part) part->api.stop_signalling();
  });
}

PublicApiNode::~PublicApiNode() {
  loops_.on_each([this](Loop& loop) { per_loop_[static_cast<std::size_t>(loop.index())].reset(); });
}

}  // namespace weir
