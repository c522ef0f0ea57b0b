// test/proxy/access/access_rig.h
// Access on a loop of its own, before callbacks that the test scripts.
#pragma once

#include <spdlog/fmt/fmt.h>

#include "proxy/access/access.h"
#include "proxy/access/publish_rate.h"
#include "test/proxy/http_relay_rig.h"
#include "test/support/on_a_loop.h"

namespace weir::test {

class AccessRig {
 public:
  explicit AccessRig(Loop& loop)
      : loop_(loop),
        access(loop, shared, metrics),
        hooks(loop, [this](const auto& request, const auto& body) {
          asked.push_back(body);
          return answer(request);
        }) {}

  ~AccessRig() { shared.verdicts.clear(); }  // which hold grants

  // Every event goes to the scripted server, under its own name.
  void apply(AccessOptions options, bool with_hooks = true) {
    for (std::size_t i = 0; with_hooks && i < kHookEvents; ++i)
      options.hooks.urls[i] = {
          {{"127.0.0.1", hooks.port()}, fmt::format("/{}", name(static_cast<HookEvent>(i)))}};
    access.apply(std::make_shared<const AccessOptions>(std::move(options)));
  }
  std::vector<std::string> events() const {
    std::vector<std::string> names;
    for (const auto& request : hooks.requests) names.push_back(request.target.substr(1));
    return names;
  }

  static AccessRequest play(std::string_view protocol = "rtmp", std::string query = "") {
    return {.protocol = protocol,
            .key = "__defaultVhost__/live/cam",
            .names = {"/live/cam"},
            .peer = *Address::parse("192.0.2.7", 4000),
            .query = std::move(query),
            .target = "/live/cam.m3u8",
            .id = "c1"};
  }
  double refused(const std::string& reason) {
    return metrics
        .counter("weir_access_refused_total",
                 "Clients refused by access rules, callbacks and limits.", {{"reason", reason}})
        .Value();
  }

 private:
  Loop& loop_;

 public:
  Metrics metrics{"test"};
  SharedAccess shared;
  Access access;
  std::vector<std::string> asked;
  std::function<std::string(const http::Request&)> answer = [](const http::Request&) {
    return http::simple_response(200, "application/json", R"({"code":0})");
  };
  HttpOrigin hooks;
};

}  // namespace weir::test
