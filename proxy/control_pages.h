// proxy/control_pages.h
// The control API: what there is, and what may be done to it.
//
//   GET    /api/v1                          what can be asked
//   GET    /api/v1/openapi.json             the same for machines
//   GET    /api/v1/versions  summaries      this process
//   GET    /api/v1/vhosts[/ID]
//   GET    /api/v1/streams[/ID]             by id or by key; paged
//   GET    /api/v1/clients[/ID]             paged; ?stream=KEY for one stream's
//   DELETE /api/v1/clients/ID               ends that session
//   GET    /api/v1/routes/APP/STREAM        who has the stream; ?vhost=
//   GET    /api/v1/upstreams[/ID]
//   POST   /api/v1/upstreams/ID/drain       no new streams there; .../undrain takes it back
//   DELETE /api/v1/upstreams/ID             forgets one that registered
//   POST   /api/v1/drain                    this node goes away
//   GET    /api/v1/history                  the last hour in columns
//   GET    /api/v1/events                   server-sent events: a picture each second
//   POST   /api/v1/reload                   reads the configuration again
//
// Paged: ?start=0&count=10, with `total` in the answer. ?scope=cluster on summaries, vhosts, streams
// and clients adds what the upstreams' own APIs answer to the same question: each item tells its
// `node`, and `nodes` tells who answered and why others did not.
//
// A resource whose handler is not given does not exist: so a listener that only reads is one without
// the handlers that change.
//
// Threading: constant after construction; any thread may ask, several at once.
// Bounds: pages of kMaxPage; answers of upstreams as long as `cluster` lets them be.
#pragma once

#include <functional>
#include <vector>

#include "common/reload.h"
#include "proxy/control_call.h"
#include "proxy/control_listing.h"
#include "proxy/control_view.h"

namespace weir {

struct ControlHandlers {
  std::function<Result<NodeView>()> node{};
  std::function<Result<SessionDirectory::Page>(std::size_t start, std::size_t count,
                                               std::string stream)>
      clients{};
  std::function<Result<SessionState>(const std::string& id)> client{};
  std::function<Result<std::vector<StreamView>>()> streams{};
  std::function<Result<RouteView>(const std::string& key)> route{};
  std::function<Result<std::vector<UpstreamState>>()> upstreams{};
  // `target` is a path with its query, asked of every upstream that has an API.
  std::function<Result<std::vector<ClusterAnswer>>(const std::string& target)> cluster{};
  std::function<Poco::JSON::Object::Ptr()> history{};
  std::function<Result<void>()> events{};  // whether one more may watch
  // These change something.
  std::function<Result<void>(const std::string& id)> kick{};
  std::function<Result<void>(const std::string& id, bool drained)> drain_upstream{};
  std::function<Result<void>(const std::string& id)> remove_upstream{};
  std::function<void()> drain{};
  std::function<Result<Reload::Report>()> reload{};

  // The view's, for reading; and those that change, too.
  static ControlHandlers reading(ControlView& view);
  static ControlHandlers all(ControlView& view);
};

class ControlPages {
 public:
  static constexpr std::size_t kDefaultPage = 10;  // as SRS
  static constexpr std::size_t kMaxPage = SessionDirectory::kMaxPage;

  ControlPages(NodeIdentity identity, ControlHandlers handlers)
      : identity_(std::move(identity)), handlers_(std::move(handlers)) {}

  static bool changes(const SystemRequest& request) {
    return request.method != "GET" && request.method != "HEAD";
  }

  // REQUIRES: the path begins with /api/.
  SystemAnswer answer(const SystemRequest& request) const;

 private:
  SystemAnswer resource(const ControlCall& call) const;
  SystemAnswer index() const;
  SystemAnswer versions() const;
  SystemAnswer summaries(const ControlCall& call) const;
  SystemAnswer vhosts(const ControlCall& call) const;
  SystemAnswer streams(const ControlCall& call) const;
  SystemAnswer clients(const ControlCall& call) const;
  SystemAnswer kick(const ControlCall& call) const;
  SystemAnswer routes(const ControlCall& call) const;
  SystemAnswer upstreams(const ControlCall& call) const;
  SystemAnswer change_upstream(const ControlCall& call) const;
  SystemAnswer drain() const;
  SystemAnswer history(const ControlCall& call) const;
  SystemAnswer events(const ControlCall& call) const;
  SystemAnswer reload() const;
  SystemAnswer list(const ControlCall& call, const ControlListing& listing) const;
  SystemAnswer one(const std::string& name, const Poco::JSON::Object::Ptr& item) const;
  SystemAnswer done(const Result<void>& result) const;

  const NodeIdentity identity_;
  const ControlHandlers handlers_;
};

}  // namespace weir
