// proxy/access/hook.h
// HTTP callbacks as SRS makes them: a POST of a JSON object to whoever decides, or wants to know.
//
//     on_connect   a client has come       asked   with RTMP and live pipes over HTTP
//     on_publish   it wants to publish     asked
//     on_play      it wants to play        asked
//     on_unpublish, on_stop, on_close      told    when that has ended
//
// Who is asked says yes with status 200 (or 201) and a body that is 0 or an object whose code is 0,
// and no with anything else. No answer, or a status from 500 on, is neither.
//
// Threading: values and pure functions. Bounds: what peers said, which their protocols bound.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "common/access/access_request.h"
#include "common/endpoint.h"
#include "common/io/timer.h"
#include "common/io/tls.h"
#include "common/rate_meter.h"

namespace weir {

enum class HookEvent : std::uint8_t { Connect, Close, Publish, Unpublish, Play, Stop };
inline constexpr std::size_t kHookEvents = 6;
std::string_view name(HookEvent event);  // "on_connect"

struct HookUrl {
  Endpoint endpoint;
  std::string target;                         // path and query
  std::shared_ptr<const TlsContext> trust{};  // how an endpoint over TLS proves who it is
};
// http:// or https://, which is still to be given its `trust`. Errors: Protocol.
Result<HookUrl> parse_hook_url(std::string_view text);
// Several, with spaces or commas between them.
inline constexpr std::size_t kMaxHookUrls = 16;
Result<std::vector<HookUrl>> parse_hook_urls(std::string_view text);

struct HookOptions {
  std::array<std::vector<HookUrl>, kHookEvents> urls{};
  milliseconds timeout{2000};  // for one answer
  int retries = 1;             // when there is none
  bool allow_when_down = false;
  std::size_t queue = 10'000;  // clients whose end is still to be told, on each loop
  milliseconds keep{300'000};  // how long that is tried
  std::string server_id{};
  std::string service_id{};

  const std::vector<HookUrl>& of(HookEvent event) const {
    return urls[static_cast<std::size_t>(event)];
  }
  bool any() const;
};

// The client as callbacks tell it.
struct HookClient {
  std::string id{};
  std::string ip{};
  std::string vhost{};
  std::string app{};
  std::string stream{};
  std::string param{};  // "?token=x", or empty
  std::string tc_url{};
  std::string page_url{};

  static HookClient of(const AccessRequest& request);
};

std::string hook_body(HookEvent event, const HookClient& client, const HookOptions& options,
                      const Traffic& traffic = {});
// Whether an answer says yes.
bool hook_allows(int status, std::string_view body);

}  // namespace weir
