#include "proxy/top_picture.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <spdlog/fmt/fmt.h>

#include "common/stream_key.h"
#include "proxy/control_json.h"

namespace weir {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

constexpr int kMaxDepth = 16;

Object::Ptr parsed(const std::string& text) {
  Poco::JSON::Parser parser;
  parser.setDepth(kMaxDepth);
  return parser.parse(text).extract<Object::Ptr>();
}

std::string text_of(const Object& object, const std::string& name) {
  return printable(object.optValue<std::string>(name, ""));
}

double number_of(const Object& object, const std::string& name) {
  return object.optValue<double>(name, 0);
}

std::size_t count_of(const Object& object, const std::string& name) {
  return static_cast<std::size_t>(object.optValue<Poco::UInt64>(name, 0));
}

Object::Ptr part_of(const Object& object, const std::string& name) {
  auto part = object.getObject(name);
  return part ? part : Object::Ptr(new Object);
}

template <class Take>
void each_of(const Object& object, const std::string& name, Take take) {
  const auto list = object.getArray(name);
  for (unsigned i = 0; list && i < list->size(); ++i)
    if (const auto item = list->getObject(i)) take(*item);
}

TopStream stream_of(const Object& object) {
  TopStream stream{.name = text_of(object, "stream_key")};
  if (const auto vhost = fmt::format("{}/", kDefaultVhost); stream.name.starts_with(vhost))
    stream.name.erase(0, vhost.size());
  const auto upstream = text_of(object, "upstream");
  const bool published = text_of(object, "source") == "publisher";
  stream.source = upstream.empty() ? (published ? "published" : "")
                                   : fmt::format("{} {}", published ? "to" : "from", upstream);
  const auto video = text_of(*part_of(object, "video"), "codec");
  const auto audio = text_of(*part_of(object, "audio"), "codec");
  stream.codecs = video + (video.empty() || audio.empty() ? "" : " ") + audio;
  stream.kbps = number_of(object, "bitrate_kbps");
  stream.sent_kbps = number_of(*part_of(object, "kbps"), "send_30s");
  stream.viewers = count_of(object, "viewers");
  stream.age_s = number_of(object, "age");
  return stream;
}

TopUpstream upstream_of(const Object& object) {
  const auto is = [&object](const char* what) { return object.optValue<bool>(what, false); };
  return {.id = text_of(object, "id"),
          .state = !is("alive")    ? "gone"
                   : is("ejected") ? "ejected"
                   : is("drained") ? "drained"
                                   : "in use",
          .streams = count_of(object, "streams")};
}

void take_node(TopPicture& picture, const Object& answer) {
  const auto data = part_of(answer, "data");
  const auto self = part_of(*data, "self");
  const auto node = part_of(*data, "weir");
  const auto rate = part_of(*node, "kbps");
  picture.server = text_of(answer, "server");
  picture.version = text_of(*self, "version");
  picture.up_s = number_of(*self, "srs_uptime");
  picture.cpu = number_of(*self, "cpu_percent");
  picture.memory_kb = number_of(*self, "mem_kbyte");
  picture.load = number_of(*part_of(*data, "system"), "load_1m");
  picture.role = text_of(*node, "role");
  picture.state = text_of(*node, "state");
  picture.clients = count_of(*node, "clients");
  picture.publishers = count_of(*node, "publishers");
  picture.viewers = count_of(*node, "viewers");
  picture.received_kbps = number_of(*rate, "recv_30s");
  picture.sent_kbps = number_of(*rate, "send_30s");
  const auto loops = node->getArray("loops");
  for (unsigned i = 0; loops && i < loops->size(); ++i)
    picture.loops.push_back(loops->getElement<double>(i));
}

}  // namespace

Result<TopPicture> TopPicture::of(const std::string& summaries, const std::string& streams,
                                  const std::string& upstreams) {
  TopPicture picture;
  const char* answer = "summaries";
  try {
    take_node(picture, *parsed(summaries));
    answer = "streams";
    const auto listed = parsed(streams);
    each_of(*listed, "streams",
            [&](const Object& item) { picture.streams.push_back(stream_of(item)); });
    picture.streams_total = count_of(*listed, "total");
    answer = "upstreams";
    each_of(*parsed(upstreams), "upstreams",
            [&](const Object& item) { picture.upstreams.push_back(upstream_of(item)); });
  } catch (const std::exception&) {
    return fail(Errc::Protocol, fmt::format("{}: not the answer of a weir", answer));
  }
  return picture;
}

std::string printable(std::string_view text) {
  const std::string valid = valid_utf8(text);
  std::string out;
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const auto byte = static_cast<unsigned char>(valid[i]);
    // U+0080 to U+009F are commands, too.
    const bool second = byte == 0xc2 && static_cast<unsigned char>(valid[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || second) {
      out += '?';
      i += second;
    } else {
      out += valid[i];
    }
  }
  return out;
}

}  // namespace weir
