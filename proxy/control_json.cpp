#include "proxy/control_json.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <map>

#include "common/stream_key.h"

namespace weir {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

Object::Ptr new_object() { return new Object{Poco::JSON_PRESERVE_KEY_ORDER}; }

std::int64_t seconds(milliseconds age) { return age.count() / 1000; }

std::int64_t wall_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double rounded(double number) { return std::round(number * 10) / 10; }

struct KeyParts {
  std::string vhost;
  std::string app;
  std::string stream;
};

KeyParts parts_of(std::string_view key) {
  const auto first = key.find('/');
  const auto last = key.rfind('/');
  if (first == key.npos || last <= first) return {"", "", std::string(key)};
  return {std::string(key.substr(0, first)), std::string(key.substr(first + 1, last - first - 1)),
          std::string(key.substr(last + 1))};
}

// SRS measures over 30 s, we over 5 to 10; whole numbers, as SRS gives them.
Object::Ptr kbps_of(const TrafficRate& rate) {
  auto object = new_object();
  object->set("recv_30s", std::llround(rate.received_kbps));
  object->set("send_30s", std::llround(rate.sent_kbps));
  return object;
}

// SRS's words for a client, as far as it has one.
std::string srs_type(const SessionFacts& facts) {
  const bool publishes = facts.kind == SessionKind::Publish;
  if (facts.protocol == "rtmp" && publishes) return "fmle-publish";
  const std::string_view protocol = facts.protocol == "webrtc" ? "rtc" : facts.protocol;
  return fmt::format("{}-{}", protocol, publishes ? "publish" : "play");
}

Poco::Dynamic::Var video_of(const StreamView& stream) {
  if (!stream.report || !stream.report->video) return {};
  const VideoReport& video = *stream.report->video;
  auto object = new_object();
  object->set("codec", video.codec);
  object->set("profile", video.profile);
  object->set("level", video.level);
  object->set("width", video.width);
  object->set("height", video.height);
  return object;
}

Poco::Dynamic::Var audio_of(const StreamView& stream) {
  if (!stream.report || !stream.report->audio) return {};
  const AudioReport& audio = *stream.report->audio;
  auto object = new_object();
  object->set("codec", audio.codec);
  object->set("sample_rate", audio.sample_rate);
  object->set("channel", audio.channels);
  object->set("profile", audio.profile);
  return object;
}

Traffic traffic_of(const StreamView& stream) {
  const Traffic& received = stream.report ? stream.report->traffic : stream.sessions.publishing;
  return {.received = received.received, .sent = stream.sessions.playing.sent};
}

TrafficRate rate_of(const StreamView& stream) {
  const auto& received = stream.report ? stream.report->rate : stream.sessions.publishing_rate;
  return {received.received_kbps, stream.sessions.playing_rate.sent_kbps};
}

}  // namespace

std::string control_id(std::string_view key) { return fmt::format("{:016x}", stable_hash(key)); }

std::string valid_utf8(std::string_view text) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string valid;
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
    bool good = size > 0 && at + size <= text.size();
    for (std::size_t i = 1; good && i < size; ++i)
      good = (static_cast<unsigned char>(text[at + i]) & 0xc0) == 0x80;
    if (good && size > 2) {  // overlong forms, surrogates, beyond U+10FFFF
      const auto second = static_cast<unsigned char>(text[at + 1]);
      good = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second >= 0xa0) &&
             !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second >= 0x90);
    }
    valid += good ? text.substr(at, size) : kReplacement;
    at += good ? size : 1;
  }
  return valid;
}

Object::Ptr to_json(const UpstreamState& state) {
  const Upstream& upstream = *state.upstream;
  auto object = new_object();
  object->set("id", upstream.id);
  object->set("service", upstream.service);
  object->set("pid", upstream.pid);
  object->set("device_id", upstream.device_id);
  object->set("host", upstream.host);
  object->set("zone", upstream.zone);
  object->set("configured", upstream.knowledge == Knowledge::Configured);
  object->set("weight", upstream.weight);
  object->set("alive", state.alive);
  object->set("drained", state.drained);
  object->set("probes", std::string{name(state.probes)});
  object->set("ejected", state.ejected());
  object->set("ejected_ms", state.ejected_for ? state.ejected_for->count() : 0);
  object->set("routes", state.routes);
  object->set("streams", state.streams);
  object->set("failures", state.failures);
  object->set("ejections", state.ejections);
  for (std::size_t i = 0; i < kProtocolCount; ++i) {
    const auto protocol = static_cast<Protocol>(i);
    Array::Ptr endpoints = new Array;
    for (const Endpoint& endpoint : upstream.at(protocol)) endpoints->add(to_url(endpoint));
    object->set(std::string{name(protocol)}, endpoints);
  }
  return object;
}

Object::Ptr to_json(const SessionState& session) {
  const SessionFacts& facts = session.facts;
  const bool publishes = facts.kind == SessionKind::Publish;
  const KeyParts parts = parts_of(facts.stream);
  const std::string app = valid_utf8(parts.app);
  const std::string stream = valid_utf8(parts.stream);
  auto object = new_object();
  object->set("id", session.id);
  object->set("vhost", control_id(parts.vhost));
  object->set("stream", facts.stream.empty() ? "" : control_id(facts.stream));
  object->set("ip", facts.peer.host());
  object->set("pageUrl", valid_utf8(facts.page_url));
  object->set("swfUrl", "");
  object->set("tcUrl", fmt::format("rtmp://{}/{}", parts.vhost, app));
  object->set("url", fmt::format("/{}/{}", app, stream));
  object->set("name", stream);
  object->set("type", srs_type(facts));
  object->set("publish", publishes);
  object->set("alive", static_cast<double>(session.age.count()) / 1000);
  object->set("send_bytes", session.traffic.sent);
  object->set("recv_bytes", session.traffic.received);
  object->set("kbps", kbps_of(session.rate));
  object->set("protocol", std::string(facts.protocol));
  object->set("stream_key", valid_utf8(facts.stream));
  object->set("port", facts.peer.port());
  object->set("agent", valid_utf8(facts.agent));
  object->set("upstream", facts.upstream);
  object->set("since_ms", wall_ms() - session.age.count());
  object->set("request_id", valid_utf8(facts.request_id));
  return object;
}

Object::Ptr to_json(const StreamView& stream) {
  const KeyParts parts = parts_of(stream.key);
  const std::string app = valid_utf8(parts.app);
  const std::string name = valid_utf8(parts.stream);
  const Traffic traffic = traffic_of(stream);
  const auto age = stream.report ? stream.report->age : stream.sessions.age;
  const auto& publisher = stream.sessions.publisher;
  auto object = new_object();
  object->set("id", control_id(stream.key));
  object->set("name", name);
  object->set("vhost", control_id(parts.vhost));
  object->set("app", app);
  object->set("tcUrl", fmt::format("rtmp://{}/{}", parts.vhost, app));
  object->set("url", fmt::format("/{}/{}", app, name));
  object->set("live_ms", wall_ms() - age.count());
  object->set("clients", stream.viewers() + (publisher ? 1 : 0));
  object->set("frames", stream.report ? stream.report->frames : 0);
  object->set("send_bytes", traffic.sent);
  object->set("recv_bytes", traffic.received);
  object->set("kbps", kbps_of(rate_of(stream)));
  auto publish = new_object();
  publish->set("active", publisher.has_value());
  publish->set("cid", publisher ? publisher->id : "");
  object->set("publish", publish);
  object->set("video", video_of(stream));
  object->set("audio", audio_of(stream));
  object->set("stream_key", valid_utf8(stream.key));
  object->set("source", stream.report ? stream.report->source : publisher ? "publisher" : "none");
  object->set("upstream", stream.upstream);
  object->set("age", seconds(age));
  object->set("viewers", stream.viewers());
  auto protocols = new_object();
  for (const auto& [protocol, count] : stream.sessions.viewers) protocols->set(protocol, count);
  object->set("viewers_by_protocol", protocols);
  object->set("bitrate_kbps", rounded(stream.kbps()));
  return object;
}

Object::Ptr to_json(const RouteView& route) {
  auto object = new_object();
  object->set("id", control_id(route.key));
  object->set("stream_key", valid_utf8(route.key));
  object->set("upstream", route.upstream.upstream->id);
  auto sessions = new_object();
  for (const auto& [id, presence] : route.sessions) sessions->set(id, presence.sessions);
  object->set("sessions", sessions);
  object->set("origin", to_json(route.upstream));
  return object;
}

Object::Ptr to_json(const NodeView& node, std::string_view version) {
  const MachineState& machine = node.machine;
  const auto share = [](std::uint64_t part, std::uint64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  auto self = new_object();
  self->set("version", std::string(version));
  self->set("pid", machine.process.pid);
  self->set("ppid", machine.process.ppid);
  self->set("argv", machine.process.command);
  self->set("cwd", valid_utf8(machine.process.directory));
  self->set("mem_kbyte", machine.process.memory_kb);
  self->set("mem_percent", share(machine.process.memory_kb, machine.memory_kb));
  self->set("cpu_percent", machine.process.cpu);
  self->set("srs_uptime", std::llround(machine.process.uptime_s));

  auto system = new_object();
  system->set("cpu_percent", machine.cpu);
  system->set("disk_read_KBps", 0);
  system->set("disk_write_KBps", 0);
  system->set("disk_busy_percent", 0);
  system->set("mem_ram_kbyte", machine.memory_kb);
  system->set("mem_ram_percent",
              share(machine.memory_kb - machine.memory_available_kb, machine.memory_kb));
  system->set("mem_swap_kbyte", machine.swap_kb);
  system->set("mem_swap_percent", share(machine.swap_kb - machine.swap_free_kb, machine.swap_kb));
  system->set("cpus", machine.cores);
  system->set("cpus_online", machine.cores);
  system->set("uptime", machine.uptime_s);
  system->set("ilde_time", machine.idle_s);  // the name that SRS gives it
  system->set("load_1m", machine.load[0]);
  system->set("load_5m", machine.load[1]);
  system->set("load_15m", machine.load[2]);
  system->set("net_sample_time", wall_ms());
  system->set("net_recv_bytes", machine.received_bytes);
  system->set("net_send_bytes", machine.sent_bytes);
  system->set("net_recvi_bytes", 0);
  system->set("net_sendi_bytes", 0);
  system->set("srs_sample_time", wall_ms());
  system->set("srs_recv_bytes", 0);
  system->set("srs_send_bytes", 0);
  system->set("conn_sys", machine.tcp_sockets);
  system->set("conn_sys_et", machine.tcp_sockets);
  system->set("conn_sys_tw", machine.tcp_waiting);
  system->set("conn_sys_udp", machine.udp_sockets);
  system->set("conn_srs", node.sessions);

  auto own = new_object();
  own->set("role", node.role);
  own->set("state", node.state);
  own->set("clients", node.sessions);
  own->set("publishers", node.publishers);
  own->set("viewers", node.viewers);
  own->set("streams", node.streams);
  own->set("upstreams", node.upstreams);
  own->set("kbps", kbps_of(node.rate));
  Array::Ptr loops = new Array;
  for (const double share_of_time : node.loops) loops->add(std::round(share_of_time * 1000) / 1000);
  own->set("loops", loops);

  auto data = new_object();
  data->set("ok", true);
  data->set("now_ms", wall_ms());
  data->set("self", self);
  data->set("system", system);
  data->set("weir", own);
  return data;
}

std::vector<Object::Ptr> vhosts_json(const std::vector<StreamView>& streams) {
  struct Sum {
    std::size_t clients = 0;
    std::size_t streams = 0;
    Traffic traffic;
    TrafficRate rate;
  };
  std::map<std::string, Sum> sums;
  for (const StreamView& stream : streams) {
    Sum& sum = sums[parts_of(stream.key).vhost];
    ++sum.streams;
    sum.clients += stream.viewers() + (stream.sessions.publisher ? 1 : 0);
    sum.traffic += traffic_of(stream);
    sum.rate += rate_of(stream);
  }
  std::vector<Object::Ptr> vhosts;
  for (const auto& [vhost, sum] : sums) {
    auto object = new_object();
    object->set("id", control_id(vhost));
    object->set("name", valid_utf8(vhost));
    object->set("enabled", true);
    object->set("clients", sum.clients);
    object->set("streams", sum.streams);
    object->set("send_bytes", sum.traffic.sent);
    object->set("recv_bytes", sum.traffic.received);
    object->set("kbps", kbps_of(sum.rate));
    auto hls = new_object();
    hls->set("enabled", false);
    object->set("hls", hls);
    vhosts.push_back(std::move(object));
  }
  return vhosts;
}

}  // namespace weir
