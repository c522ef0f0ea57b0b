#include "edge/edge_setup.h"

#include "proxy/proxy_setup.h"

namespace weir {
namespace {

OriginNaming naming_of(const Config& config) {
  std::vector<std::string> ids;
  for (const auto& section : config.upstreams())
    if (section.http) ids.push_back(section.name);
  return OriginNaming::among(ids);
}

}  // namespace

EdgeOptions edge_options_of(const Config& config, const std::string& node,
                            const http::StaticFiles* files) {
  EdgeOptions options;
  options.node_id = node;
  options.standalone = config.upstreams().empty() && config.text("upstream.discover") == "off";
  const std::string& pull = config.text("edge.pull");
  options.pull = pull == "rtmp"  ? EdgeOptions::Pull::Rtmp
                 : pull == "flv" ? EdgeOptions::Pull::Flv
                                 : EdgeOptions::Pull::Auto;
  options.linger = config.duration("edge.linger");
  options.source_timeout = config.duration("edge.source_timeout");
  options.start_timeout = config.duration("edge.start_timeout");
  options.gone_timeout = config.duration("edge.gone_timeout");
  options.negative_ttl = config.duration("edge.negative_ttl");
  options.max_missing = static_cast<std::size_t>(config.integer("streams.max_negative"));
  options.retry_min = config.duration("edge.retry_min");
  options.retry_max = config.duration("edge.retry_max");
  options.merge_window = config.optional_duration("edge.merge_window");
  options.merge_max = config.duration("edge.merge_max");
  options.max_hops = static_cast<int>(config.integer("edge.max_hops"));
  options.log.window = config.duration("edge.log_window");
  options.log.max_bytes = config.size("edge.log_max");
  options.stall_timeout = config.duration("viewer.stall_timeout");
  options.send_buffer = config.size("viewer.send_buffer");
  options.publisher_first_timeout = config.duration("publisher.first_timeout");
  options.publisher_timeout = config.duration("publisher.timeout");
  options.publisher_stale = config.duration("publisher.stale");
  options.handshake_timeout = config.duration("rtmp.handshake_timeout");
  options.request_timeout = config.duration("rtmp.request_timeout");
  options.head_timeout = config.duration("http.head_timeout");
  options.window_ack = static_cast<std::uint32_t>(config.size("rtmp.window_ack"));
  options.rtmp = rtmp_limits_of(config);
  options.dial = dial_options_of(config);
  options.naming = naming_of(config);
  options.cache_memory = config.size("cache.memory");
  options.cache.node_id = node;
  options.cache.object_max = config.size("cache.object_max");
  options.cache.policy = {.segment_ttl = config.duration("cache.segment_ttl"),
                          .playlist_ttl = config.duration("cache.playlist_ttl"),
                          .error_ttl = config.duration("cache.error_ttl")};
  for (const auto argument : http::split_list(config.text("cache.ignore_args")))
    options.cache.ignored_arguments.emplace_back(argument);
  options.cache.purge_token = config.text("cache.purge_token");
  options.cache.hold = config.duration("cache.hold");
  options.cache.stall = options.stall_timeout;
  options.cache.cors = config.boolean("http.cors");
  options.http_limits.head = config.size("http.max_head");
  options.disk.folder = config.text("cache.path");
  options.disk.size = config.size("cache.disk");
  options.files = files;
  return options;
}

}  // namespace weir
