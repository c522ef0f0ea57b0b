#include "proxy/control_pages.h"

#include <Poco/JSON/Parser.h>
#include <Poco/URI.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "common/stream_key.h"
#include "proxy/control_json.h"

namespace weir {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr std::string_view kRoot = "/api/v1";
constexpr std::size_t kMaxArguments = 32;
constexpr std::size_t kMaxStart = 1'000'000'000;

std::optional<std::string> decoded(std::string_view text) {
  try {
    std::string plain;
    Poco::URI::decode(std::string(text), plain);
    return plain;
  } catch (const Poco::Exception&) {
    return std::nullopt;
  }
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Answer no_such_resource() { return refusal(404, "no such resource"); }

}  // namespace

struct ControlPages::Query {
  std::map<std::string, std::string, std::less<>> arguments;

  const std::string& text(std::string_view name) const {
    static const std::string nothing;
    const auto found = arguments.find(name);
    return found == arguments.end() ? nothing : found->second;
  }
  bool has(std::string_view name) const { return arguments.contains(name); }

  Result<std::size_t> number(std::string_view name, std::size_t fallback, std::size_t most) const {
    const auto found = arguments.find(name);
    if (found == arguments.end()) return fallback;
    const std::string& digits = found->second;
    std::size_t number = 0;
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (bad != std::errc{} || end != digits.data() + digits.size() || number > most)
      return fail(Errc::Protocol, fmt::format("{}: a number from 0 to {}", name, most));
    return number;
  }
};

struct ControlPages::Call {
  std::string_view method;
  std::vector<std::string> path;  // behind /api/v1/, decoded
  std::string_view target;
  Query query;

  bool reads() const { return method == "GET" || method == "HEAD"; }
  bool cluster() const { return query.text("scope") == "cluster"; }
};

// What is given to a client: items of ours, and of the cluster where it is asked for.
struct ControlPages::Listing {
  std::string name;
  std::vector<Object::Ptr> items;
  std::optional<std::size_t> total;  // of ours; none: it is not paged
};

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

Answer ControlPages::answer(const SystemRequest& request) const {
  const auto mark = request.target.find('?');
  std::string_view path = request.target.substr(0, mark);
  if (!path.starts_with(kRoot)) return no_such_resource();
  path.remove_prefix(kRoot.size());
  if (!path.empty() && path.front() != '/') return no_such_resource();
  while (path.ends_with('/')) path.remove_suffix(1);

  Call call{.method = request.method, .path = {}, .target = request.target, .query = {}};
  if (!path.empty()) {
    for (const auto part : split(path.substr(1), '/')) {
      auto plain = decoded(part);
      if (!plain) return refusal(400, "path: not percent-encoded");
      call.path.push_back(std::move(*plain));
    }
  }
  if (mark != request.target.npos) {
    for (const auto argument : split(request.target.substr(mark + 1), '&')) {
      const auto equals = argument.find('=');
      auto key = decoded(argument.substr(0, equals));
      auto value = decoded(equals == argument.npos ? "" : argument.substr(equals + 1));
      if (!key || !value) return refusal(400, "query: not percent-encoded");
      if (call.query.arguments.size() >= kMaxArguments)
        return refusal(400, fmt::format("query: more than {} arguments", kMaxArguments));
      call.query.arguments[std::move(*key)] = std::move(*value);
    }
  }
  return resource(call);
}

Answer ControlPages::resource(const Call& call) const {
  const std::size_t depth = call.path.size();
  const std::string name = depth > 0 ? call.path[0] : "";
  if (name == "clients" && depth == 2 && call.method == "DELETE" && handlers_.kick)
    return kick(call);
  if (name == "upstreams" && depth > 1 && !call.reads()) return change_upstream(call);
  if (name == "drain" && depth == 1 && handlers_.drain)
    return call.method == "POST" ? drain() : wrong_method("POST");

  using Page = Answer (ControlPages::*)(const Call&) const;
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
  };
  for (const Entry& entry : entries) {
    if (entry.name != name || !entry.given || depth < entry.least || depth > entry.most) continue;
    const bool ends = name == "clients" && depth == 2 && handlers_.kick;
    if (!call.reads()) return wrong_method(ends ? "GET, HEAD, DELETE" : "GET, HEAD");
    return (this->*entry.page)(call);
  }
  if (depth == 0 || (name == "versions" && depth == 1)) {
    if (!call.reads()) return wrong_method("GET, HEAD");
    return depth == 0 ? index() : versions();
  }
  return no_such_resource();
}

Answer ControlPages::index() const {
  struct Line {
    bool given;
    const char* name;
    const char* text;
  };
  const Line lines[] = {
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
  };
  Object::Ptr urls = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  for (const Line& line : lines)
    if (line.given) urls->set(line.name, line.text);
  auto object = identity_.begin();
  object->set("urls", urls);
  return ok(*object);
}

Answer ControlPages::versions() const {
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

Answer ControlPages::summaries(const Call& call) const {
  const auto node = handlers_.node();
  if (!node) return refusal(node.error());
  const auto data = to_json(*node, identity_.version);
  if (!call.cluster()) return one("data", data);
  return list(call, {.name = "data", .items = {data}, .total = std::nullopt});
}

Answer ControlPages::vhosts(const Call& call) const {
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

Answer ControlPages::streams(const Call& call) const {
  const auto start = call.query.number("start", 0, kMaxStart);
  const auto count = call.query.number("count", kDefaultPage, kMaxPage);
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
  Listing listing{.name = "streams", .items = {}, .total = all->size()};
  for (std::size_t i = *start; i < all->size() && i - *start < *count; ++i)
    listing.items.push_back(to_json((*all)[i]));
  return list(call, std::move(listing));
}

Answer ControlPages::clients(const Call& call) const {
  if (call.path.size() == 2) {
    const auto client = handlers_.client(call.path[1]);
    return client ? one("client", to_json(*client)) : refusal(client.error());
  }
  const auto start = call.query.number("start", 0, kMaxStart);
  const auto count = call.query.number("count", kDefaultPage, kMaxPage);
  if (!start) return refusal(start.error());
  if (!count) return refusal(count.error());
  const auto page = handlers_.clients(*start, *count, call.query.text("stream"));
  if (!page) return refusal(page.error());
  Listing listing{.name = "clients", .items = {}, .total = page->total};
  for (const SessionState& session : page->sessions) listing.items.push_back(to_json(session));
  return list(call, std::move(listing));
}

Answer ControlPages::kick(const Call& call) const { return done(handlers_.kick(call.path[1])); }

Answer ControlPages::routes(const Call& call) const {
  // As RTMP names a stream: nothing is cut off that looks like a file's extension.
  std::string app = fmt::format("{}", fmt::join(call.path.begin() + 1, call.path.end() - 1, "/"));
  if (call.query.has("vhost")) app += "?vhost=" + call.query.text("vhost");
  const auto name = stream_from_rtmp("", app, call.path.back());
  if (!name) return refusal(400, "stream: " + name.error().text);
  const auto route = handlers_.route(name->key());
  return route ? one("route", to_json(*route)) : refusal(route.error());
}

Answer ControlPages::upstreams(const Call& call) const {
  const auto states = handlers_.upstreams();
  if (!states) return refusal(states.error());
  if (call.path.size() == 2) {
    const auto found = std::ranges::find(
        *states, call.path[1], [](const UpstreamState& state) { return state.upstream->id; });
    return found == states->end() ? refusal(404, "no upstream of that name")
                                  : one("upstream", to_json(*found));
  }
  Listing listing{.name = "upstreams", .items = {}, .total = std::nullopt};
  for (const UpstreamState& state : *states) listing.items.push_back(to_json(state));
  return list({.method = call.method, .path = call.path, .target = call.target, .query = {}},
              std::move(listing));
}

Answer ControlPages::change_upstream(const Call& call) const {
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

Answer ControlPages::drain() const {
  handlers_.drain();
  return done({});
}

Answer ControlPages::one(const std::string& name, const Object::Ptr& item) const {
  auto object = identity_.begin();
  object->set(name, item);
  return ok(*object);
}

Answer ControlPages::done(const Result<void>& result) const {
  return result ? ok(*identity_.begin()) : refusal(result.error());
}

// ----------------------------------------------------------------------------------------- cluster

namespace {

Object::Ptr node_line(const std::string& id, const std::string& error) {
  Object::Ptr line = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  line->set("id", id);
  line->set("ok", error.empty());
  if (!error.empty()) line->set("error", valid_utf8(error));
  return line;
}

// The items of an upstream's answer, or what is wrong with it.
Result<std::vector<Object::Ptr>> items_of(const std::string& body, const std::string& name) {
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(ControlPages::kMaxDepth);
    const Var root = parser.parse(body);
    if (root.type() != typeid(Object::Ptr)) return fail(Errc::Protocol, "answer: no JSON object");
    Object::Ptr answer = root.extract<Object::Ptr>();
    if (answer->optValue<int>("code", -1) != 0) return fail(Errc::Protocol, "answer: code is not 0");
    if (const auto single = answer->getObject(name)) return std::vector{single};
    const auto array = answer->getArray(name);
    if (!array) return fail(Errc::Protocol, fmt::format("answer: no field {}", name));
    std::vector<Object::Ptr> items;
    for (std::size_t i = 0; i < array->size(); ++i)
      if (auto item = array->getObject(static_cast<unsigned>(i))) items.push_back(item);
    return items;
  } catch (const std::exception&) {
    return fail(Errc::Protocol, "answer: not JSON");
  }
}

}  // namespace

Answer ControlPages::list(const Call& call, Listing listing) const {
  auto object = identity_.begin();
  Array::Ptr items = new Array;
  const bool cluster = call.cluster();
  if (cluster && !handlers_.cluster) return refusal(404, "there is no cluster to be asked");
  for (Object::Ptr item : listing.items) {
    if (cluster) item->set("node", identity_.server);
    items->add(item);
  }
  if (cluster) {
    const auto start = call.query.number("start", 0, kMaxStart).value_or(0);
    const auto count = call.query.number("count", kDefaultPage, kMaxPage).value_or(kDefaultPage);
    const auto answers = handlers_.cluster(
        listing.total ? fmt::format("{}/{}?start={}&count={}", kRoot, call.path[0], start, count)
                      : fmt::format("{}/{}", kRoot, call.path[0]));
    if (!answers) return refusal(answers.error());
    Array::Ptr nodes = new Array;
    nodes->add(node_line(identity_.server, ""));
    for (const ClusterAnswer& answer : *answers) {
      auto theirs = answer.body
                        ? items_of(*answer.body, listing.name)
                        : Result<std::vector<Object::Ptr>>{std::unexpected(answer.body.error())};
      nodes->add(node_line(answer.id, theirs ? "" : theirs.error().text));
      if (!theirs) continue;
      for (Object::Ptr item : *theirs) {
        item->set("node", answer.id);
        items->add(item);
      }
    }
    object->set("nodes", nodes);
  }
  if (listing.total) object->set("total", *listing.total);
  object->set(listing.name, items);
  return ok(*object);
}

}  // namespace weir
