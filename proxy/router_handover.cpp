#include "proxy/router_handover.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>

namespace weir {

namespace {

std::string route_line(const SharedRoute& route) { return "route " + encode(route); }

}  // namespace

std::vector<std::string> tell_all(const Router& router, TimePoint now) {
  std::vector<std::string> lines;
  for (const auto& [id, entry] : router.registry().entries()) {
    if (entry.upstream->knowledge != Knowledge::Registered) continue;
    const auto age = std::chrono::floor<std::chrono::milliseconds>(now - entry.heard);
    lines.push_back(
        fmt::format("origin {} {}", age.count(), encode(registration_of(*entry.upstream))));
  }
  for (const std::string& id : router.registry().drained_ids())
    lines.push_back("drained " + encode(SharedNote{id, ""}));
  for (const std::string& key : router.route_keys())
    if (const auto route = router.remembered(key, now)) lines.push_back(route_line(*route));
  return lines;
}

std::vector<std::string> tell_held(const Router& router) {
  std::vector<std::string> lines;
  for (const SharedRoute& route : router.held()) lines.push_back(route_line(route));
  return lines;
}

void hear(Router& router, const std::string& line, TimePoint now) {
  const auto space = line.find(' ');
  const std::string_view kind = std::string_view(line).substr(0, space);
  std::string_view value =
      space == std::string::npos ? "" : std::string_view(line).substr(space + 1);
  if (kind == "origin") {
    std::int64_t age = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), age);
    if (error != std::errc{} || age < 0) return;
    value.remove_prefix(static_cast<std::size_t>(end - value.data()));
    if (const auto member = decode_member(value))
      static_cast<void>(router.restore_origin(*member, now - std::chrono::milliseconds(age), now));
  } else if (kind == "drained") {
    if (const auto note = decode_note(value)) router.restore_drained(note->name);
  } else if (kind == "route") {
    const auto route = decode_route(value);
    if (!route) return;
    const auto ours = router.remembered(route->stream, now);
    if (!ours || *ours == *route) router.adopt(*route, now);
  }
}

}  // namespace weir
