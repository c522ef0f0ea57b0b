#include "proxy/control_pages.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <sstream>

#include "common/stream_key.h"
#include "proxy/control_json.h"
#include "proxy/openapi.h"

namespace weir {
namespace {

using Poco::JSON::Object;

constexpr std::size_t kMaxStart = 1'000'000'000;

SystemAnswer no_such_resource() { return refusal(404, "no such resource"); }

}  // namespace

// ---------------------------------------------------------------------------------------- handlers

ControlHandlers ControlHandlers::reading(ControlView& view) {
  ControlHandlers handlers;
  handlers.node = [&view] { return view.node(); };
  handlers.clients = [&view](std::size_t start, std::size_t count, std::string stream) {
    return view.clients(start, count, std::move(stream));
  };
  handlers.client = [&view](const std::string& id) { return view.client(id); };
  handlers.streams = [&view] { return view.streams(); };
  handlers.route = [&view](const std::string& key) { return view.route(key); };
  handlers.upstreams = [&view] { return view.upstreams(); };
  handlers.cluster = [&view](const std::string& target) { return view.cluster(target); };
  return handlers;
}

ControlHandlers ControlHandlers::all(ControlView& view) {
  ControlHandlers handlers = reading(view);
  handlers.kick = [&view](const std::string& id) { return view.kick(id); };
  handlers.drain_upstream = [&view](const std::string& id, bool drained) {
    return view.drain_upstream(id, drained);
  };
  handlers.remove_upstream = [&view](const std::string& id) { return view.remove_upstream(id); };
  return handlers;
}

// ------------------------------------------------------------------------------------------- pages

SystemAnswer ControlPages::answer(const SystemRequest& request) const {
  const auto call = ControlCall::of(request);
  if (!call) return refusal(call.error());
  return resource(*call);
}

SystemAnswer ControlPages::resource(const ControlCall& call) const {
  const std::size_t depth = call.path.size();
  const std::string name = depth > 0 ? call.path[0] : "";
  if (name == "clients" && depth == 2 && call.method == "DELETE" && handlers_.kick)
    return kick(call);
  if (name == "upstreams" && depth > 1 && !call.reads()) return change_upstream(call);
  if (name == "drain" && depth == 1 && handlers_.drain)
    return call.method == "POST" ? drain() : wrong_method("POST");

  if (name == "reload" && depth == 1 && handlers_.reload)
    return call.method == "POST" ? reload() : wrong_method("POST");

  using Page = SystemAnswer (ControlPages::*)(const ControlCall&) const;
  struct Entry {
    std::string_view name;
    bool given;
    std::size_t least;
    std::size_t most;
    Page page;
  };
  const Entry entries[] = {
      {"summaries", static_cast<bool>(handlers_.node), 1, 1, &ControlPages::summaries},
      {"vhosts", static_cast<bool>(handlers_.streams), 1, 2, &ControlPages::vhosts},
      {"streams", static_cast<bool>(handlers_.streams), 1, 16, &ControlPages::streams},
      {"clients", handlers_.clients && handlers_.client, 1, 2, &ControlPages::clients},
      {"routes", static_cast<bool>(handlers_.route), 3, 64, &ControlPages::routes},
      {"upstreams", static_cast<bool>(handlers_.upstreams), 1, 2, &ControlPages::upstreams},
      {"history", static_cast<bool>(handlers_.history), 1, 1, &ControlPages::history},
      {"events", static_cast<bool>(handlers_.events), 1, 1, &ControlPages::events},
  };
  for (const Entry& entry : entries) {
    if (entry.name != name || !entry.given || depth < entry.least || depth > entry.most) continue;
    const bool ends = name == "clients" && depth == 2 && handlers_.kick;
    if (!call.reads()) return wrong_method(ends ? "GET, HEAD, DELETE" : "GET, HEAD");
    return (this->*entry.page)(call);
  }
  if (depth == 0 || (depth == 1 && (name == "versions" || name == "openapi.json"))) {
    if (!call.reads()) return wrong_method("GET, HEAD");
    if (name == "openapi.json") return {.status = 200, .body = std::string(openapi_text())};
    return depth == 0 ? index() : versions();
  }
  return no_such_resource();
}

SystemAnswer ControlPages::index() const {
  struct Line {
    bool given;
    const char* name;
    const char* text;
  };
  const Line lines[] = {
      {true, "openapi.json", "this API in OpenAPI 3"},
      {true, "versions", "the version of weir"},
      {static_cast<bool>(handlers_.node), "summaries", "this process and its machine"},
      {static_cast<bool>(handlers_.streams), "vhosts", "streams and clients by vhost"},
      {static_cast<bool>(handlers_.streams), "streams", "the streams, ?start=0&count=10"},
      {static_cast<bool>(handlers_.clients), "clients",
       "the clients, ?start=0&count=10&stream=KEY; DELETE clients/ID ends one"},
      {static_cast<bool>(handlers_.route), "routes", "routes/APP/STREAM: who has the stream"},
      {static_cast<bool>(handlers_.upstreams), "upstreams",
       "who is pulled from or relayed to; POST upstreams/ID/drain, undrain; DELETE upstreams/ID"},
      {static_cast<bool>(handlers_.drain), "drain", "POST: this node goes away"},
      {static_cast<bool>(handlers_.history), "history", "the last hour in columns"},
      {static_cast<bool>(handlers_.events), "events", "server-sent events: a picture each second"},
      {static_cast<bool>(handlers_.reload), "reload", "POST: reads the configuration again"},
  };
  Object::Ptr urls = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  for (const Line& line : lines)
    if (line.given) urls->set(line.name, line.text);
  auto object = identity_.begin();
  object->set("urls", urls);
  return ok(*object);
}

SystemAnswer ControlPages::versions() const {
  int numbers[3] = {};
  std::istringstream parts{identity_.version};
  char dot = 0;
  parts >> numbers[0] >> dot >> numbers[1] >> dot >> numbers[2];
  Object::Ptr data = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  data->set("major", numbers[0]);
  data->set("minor", numbers[1]);
  data->set("revision", numbers[2]);
  data->set("version", identity_.version);
  return one("data", data);
}

SystemAnswer ControlPages::summaries(const ControlCall& call) const {
  const auto node = handlers_.node();
  if (!node) return refusal(node.error());
  const auto data = to_json(*node, identity_.version);
  if (!call.cluster()) return one("data", data);
  return list(call, {.name = "data", .items = {data}, .total = std::nullopt});
}

SystemAnswer ControlPages::vhosts(const ControlCall& call) const {
  const auto all = handlers_.streams();
  if (!all) return refusal(all.error());
  auto items = vhosts_json(*all);
  if (call.path.size() == 1)
    return list(call, {.name = "vhosts", .items = std::move(items), .total = std::nullopt});
  for (const auto& item : items) {
    if (item->getValue<std::string>("id") == call.path[1] ||
        item->getValue<std::string>("name") == call.path[1])
      return one("vhost", item);
  }
  return refusal(404, "no such vhost");
}

SystemAnswer ControlPages::streams(const ControlCall& call) const {
  const auto start = call.number("start", 0, kMaxStart);
  const auto count = call.number("count", kDefaultPage, kMaxPage);
  if (!start) return refusal(start.error());
  if (!count) return refusal(count.error());
  const auto all = handlers_.streams();
  if (!all) return refusal(all.error());
  if (call.path.size() > 1) {
    const std::string wanted =
        fmt::format("{}", fmt::join(call.path.begin() + 1, call.path.end(), "/"));
    for (const StreamView& stream : *all)
      if (stream.key == wanted || control_id(stream.key) == wanted)
        return one("stream", to_json(stream));
    return refusal(404, "no such stream");
  }
  ControlListing listing{.name = "streams", .items = {}, .total = all->size()};
  for (std::size_t i = *start; i < all->size() && i - *start < *count; ++i)
    listing.items.push_back(to_json((*all)[i]));
  return list(call, std::move(listing));
}

SystemAnswer ControlPages::clients(const ControlCall& call) const {
  if (call.path.size() == 2) {
    const auto client = handlers_.client(call.path[1]);
    return client ? one("client", to_json(*client)) : refusal(client.error());
  }
  const auto start = call.number("start", 0, kMaxStart);
  const auto count = call.number("count", kDefaultPage, kMaxPage);
  if (!start) return refusal(start.error());
  if (!count) return refusal(count.error());
  const auto page = handlers_.clients(*start, *count, call.text("stream"));
  if (!page) return refusal(page.error());
  ControlListing listing{.name = "clients", .items = {}, .total = page->total};
  for (const SessionState& session : page->sessions) listing.items.push_back(to_json(session));
  return list(call, std::move(listing));
}

SystemAnswer ControlPages::kick(const ControlCall& call) const {
  return done(handlers_.kick(call.path[1]));
}

SystemAnswer ControlPages::routes(const ControlCall& call) const {
  // As RTMP names a stream: nothing is cut off that looks like a file's extension.
  std::string app = fmt::format("{}", fmt::join(call.path.begin() + 1, call.path.end() - 1, "/"));
  if (call.has("vhost")) app += "?vhost=" + call.text("vhost");
  const auto name = stream_from_rtmp("", app, call.path.back());
  if (!name) return refusal(400, "stream: " + name.error().text);
  const auto route = handlers_.route(name->key());
  return route ? one("route", to_json(*route)) : refusal(route.error());
}

SystemAnswer ControlPages::upstreams(const ControlCall& call) const {
  const auto states = handlers_.upstreams();
  if (!states) return refusal(states.error());
  if (call.path.size() == 2) {
    const auto found = std::ranges::find(
        *states, call.path[1], [](const UpstreamState& state) { return state.upstream->id; });
    return found == states->end() ? refusal(404, "no upstream of that name")
                                  : one("upstream", to_json(*found));
  }
  ControlListing listing{.name = "upstreams", .items = {}, .total = std::nullopt};
  for (const UpstreamState& state : *states) listing.items.push_back(to_json(state));
  return list(call, std::move(listing));
}

SystemAnswer ControlPages::change_upstream(const ControlCall& call) const {
  if (call.path.size() == 2 && handlers_.remove_upstream)
    return call.method == "DELETE" ? done(handlers_.remove_upstream(call.path[1]))
                                   : wrong_method("GET, HEAD, DELETE");
  const std::string verb = call.path.size() == 3 ? call.path[2] : "";
  if (!handlers_.drain_upstream || (verb != "drain" && verb != "undrain"))
    return call.path.size() == 2 && handlers_.upstreams ? wrong_method("GET, HEAD")
                                                        : no_such_resource();
  if (call.method != "POST") return wrong_method("POST");
  return done(handlers_.drain_upstream(call.path[1], verb == "drain"));
}

SystemAnswer ControlPages::drain() const {
  handlers_.drain();
  return done({});
}

SystemAnswer ControlPages::history(const ControlCall&) const {
  return one("history", handlers_.history());
}

SystemAnswer ControlPages::events(const ControlCall& call) const {
  if (const auto room = handlers_.events(); !room) return refusal(room.error());
  return {.status = 200, .type = "text/event-stream", .events = call.method == "GET"};
}

SystemAnswer ControlPages::reload() const {
  const auto report = handlers_.reload();
  if (!report) return refusal(report.error());
  const auto listed = [](const std::vector<std::string>& keys) {
    Poco::JSON::Array array;
    for (const std::string& key : keys) array.add(key);
    return array;
  };
  auto object = identity_.begin();
  object->set("changed", listed(report->changed));
  object->set("needs_restart", listed(report->need_restart));
  return ok(*object);
}

SystemAnswer ControlPages::one(const std::string& name, const Object::Ptr& item) const {
  auto object = identity_.begin();
  object->set(name, item);
  return ok(*object);
}

SystemAnswer ControlPages::done(const Result<void>& result) const {
  return result ? ok(*identity_.begin()) : refusal(result.error());
}

SystemAnswer ControlPages::list(const ControlCall& call, const ControlListing& listing) const {
  auto object = identity_.begin();
  if (!call.cluster() || call.path[0] == "upstreams") {
    listing.into(*object);
    return ok(*object);
  }
  if (!handlers_.cluster) return refusal(404, "there is no cluster to be asked");
  const auto start = call.number("start", 0, kMaxStart);
  const auto count = call.number("count", kDefaultPage, kMaxPage);
  if (!start || !count) return refusal(start ? count.error() : start.error());
  std::string target = fmt::format("{}/{}", ControlCall::kRoot, call.path[0]);
  if (listing.total) target += fmt::format("?start={}&count={}", *start, *count);
  const auto answers = handlers_.cluster(target);
  if (!answers) return refusal(answers.error());
  listing.into(*object, identity_.server, *answers);
  return ok(*object);
}

}  // namespace weir
