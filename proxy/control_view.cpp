#include "proxy/control_view.h"

#include <algorithm>
#include <map>

#include "common/io/ask.h"
#include "common/log.h"

namespace weir {

std::size_t StreamView::viewers() const {
  std::size_t total = 0;
  for (const auto& [protocol, count] : sessions.viewers) total += count;
  return total;
}

double StreamView::kbps() const {
  if (report) return report->rate.received_kbps;
  if (sessions.publisher) return sessions.publishing_rate.received_kbps;
  return sessions.viewer_kbps;
}

void ControlView::attach(Parts parts) {
  const std::lock_guard lock(mutex_);
  parts_ = std::move(parts);
}

Result<ControlView::Parts> ControlView::parts() {
  const std::lock_guard lock(mutex_);
  if (parts_.sessions == nullptr) return fail(Errc::Unavailable, "starting");
  return parts_;
}

Result<SessionDirectory::Page> ControlView::clients(std::size_t start, std::size_t count,
                                                    std::string stream) {
  auto here = parts();
  if (!here) return std::unexpected(here.error());
  return here->sessions->page(start, count, std::move(stream));
}

Result<SessionState> ControlView::client(const std::string& id) {
  auto here = parts();
  if (!here) return std::unexpected(here.error());
  return here->sessions->find(id);
}

Result<void> ControlView::kick(const std::string& id) {
  auto here = parts();
  if (!here) return std::unexpected(here.error());
  auto ended = here->sessions->end(id, {Errc::Cancelled, "kicked through the control API"});
  if (ended) log::info("client kicked", {{"session", id}});
  return ended;
}

Result<std::vector<StreamView>> ControlView::streams() {
  auto here = parts();
  if (!here) return std::unexpected(here.error());
  std::map<std::string, StreamView> found;
  auto sessions = here->sessions->by_stream();
  if (!sessions) return std::unexpected(sessions.error());
  for (auto& [key, of_stream] : *sessions) found[key].sessions = std::move(of_stream);
  if (here->streams) {
    auto reports = here->streams();
    if (!reports) return std::unexpected(reports.error());
    for (auto& report : *reports) found[report.key].report = std::move(report);
  }
  std::vector<std::string> keys;
  for (const auto& [key, view] : found) keys.push_back(key);
  auto routes = routing_.ask_from_outside(
      [keys](Router& router) {
        std::vector<std::string> upstreams;
        for (const auto& key : keys) {
          auto known = router.known(key, Clock::now());
          upstreams.push_back(known ? std::move(known->upstream) : std::string());
        }
        return upstreams;
      },
      options_.patience);
  if (!routes) return std::unexpected(routes.error());
  std::vector<StreamView> streams;
  for (auto& [key, view] : found) {
    view.key = key;
    view.upstream = std::move((*routes)[streams.size()]);
    if (view.report && !view.report->upstream.empty()) view.upstream = view.report->upstream;
    if (view.upstream.empty()) view.upstream = view.sessions.upstream;
    streams.push_back(std::move(view));
  }
  return streams;
}

Result<RouteView> ControlView::route(const std::string& key) {
  auto known = routing_.ask_from_outside(
      [key](Router& router) { return router.known(key, Clock::now()); }, options_.patience);
  if (!known) return std::unexpected(known.error());
  if (!*known) return fail(Errc::NotFound, "nobody knows of a route for this stream");
  const std::string id = (*known)->upstream;
  RouteView view{.key = key, .upstream = {}, .sessions = std::move((*known)->sessions)};
  auto all = upstreams();
  if (!all) return std::unexpected(all.error());
  const auto found =
      std::ranges::find(*all, id, [](const UpstreamState& state) { return state.upstream->id; });
  if (found != all->end()) {
    view.upstream = std::move(*found);
  } else {
    auto unknown = std::make_shared<Upstream>();
    unknown->id = id;
    unknown->knowledge = Knowledge::Registered;
    view.upstream.upstream = std::move(unknown);
    view.upstream.alive = false;
  }
  return view;
}

Result<NodeView> ControlView::node() {
  auto all = picture();
  if (!all) return std::unexpected(all.error());
  return std::move(all->node);
}

Result<NodePicture> ControlView::picture() {
  auto streams_here = streams();
  if (!streams_here) return std::unexpected(streams_here.error());
  auto here = parts();
  if (!here) return std::unexpected(here.error());
  auto known = upstreams();
  if (!known) return std::unexpected(known.error());
  NodePicture picture{
      .node = {}, .streams = std::move(*streams_here), .upstreams = std::move(*known)};
  NodeView& view = picture.node;
  view.role = options_.role;
  view.state = options_.state();
  view.machine = machine_.look();
  for (std::size_t i = 0; i < loops_.size(); ++i) view.loops.push_back(loops_[i].utilisation());
  for (const StreamView& stream : picture.streams) {
    view.publishers += stream.sessions.publisher.has_value();
    view.viewers += stream.viewers();
    view.rate += stream.sessions.publishing_rate;
    view.rate += stream.sessions.playing_rate;
  }
  view.streams = picture.streams.size();
  view.sessions = here->sessions->size();
  view.upstreams =
      static_cast<std::size_t>(std::ranges::count_if(picture.upstreams, [](const auto& each) {
        return each.alive && !each.ejected() && !each.drained;
      }));
  return picture;
}

Result<std::vector<UpstreamState>> ControlView::upstreams() {
  return routing_.ask_from_outside([](Router& router) { return router.snapshot(Clock::now()); },
                                   options_.patience);
}

Result<std::vector<ClusterAnswer>> ControlView::cluster(const std::string& target) {
  auto here = parts();
  if (!here) return std::unexpected(here.error());
  auto known = upstreams();
  if (!known) return std::unexpected(known.error());
  return here->cluster->get(*known, target);
}

Result<void> ControlView::drain_upstream(const std::string& id, bool drained) {
  auto done = routing_.ask_from_outside(
      [id, drained](Router& router) { return router.drain(id, drained); }, options_.patience);
  if (!done) return std::unexpected(done.error());
  return *done;
}

Result<void> ControlView::remove_upstream(const std::string& id) {
  return routing_.remove_from_outside(id, options_.patience);
}

}  // namespace weir
