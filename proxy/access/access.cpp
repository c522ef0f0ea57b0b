#include "proxy/access/access.h"

#include <openssl/sha.h>

#include <algorithm>
#include <chrono>

namespace weir {

namespace {

constexpr milliseconds kLookAround{500};
constexpr const char* kRefusedHelp = "Clients refused by access rules, callbacks and limits.";

thread_local Access* t_here = nullptr;
thread_local Access* t_current = nullptr;

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// What a client shows, without what changes from one of its requests to the next.
std::string credential_of(const AccessRequest& request) {
  std::string shown;
  std::string_view query = request.query;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    if (!one.empty() && !one.starts_with("_HLS_") && !one.starts_with("weir_"))
      shown.append("&").append(one);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  if (!request.authorization.empty()) shown.append("\n").append(request.authorization);
  return shown;
}

// What clients say may be long, and there may be many of them: so long keys are known by a digest.
std::string bounded(std::string key) {
  if (key.size() <= Access::kLongestKey) return key;
  std::string digest(1 + SHA256_DIGEST_LENGTH, '#');
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(),
         reinterpret_cast<unsigned char*>(digest.data() + 1));
  return digest;
}

std::string upstream_key(const std::string& credential, const std::string& name) {
  return bounded("u\n" + name + "\n" + credential);
}
std::string viewer_key(const AccessRequest& request, const std::string& credential,
                       const std::string& name) {
  const char* const kind = request.action == AccessAction::Publish ? "p\n" : "v\n";
  return bounded(kind + request.peer.host() + "\n" + name + "\n" + credential);
}

}  // namespace

struct Grant::State {
  Access* home;
  std::shared_ptr<const AccessOptions> options;
  AccessAction action;
  HookClient client;
  bool connects;           // it is one of the protocols that have on_connect
  bool connected = false;  // that has been granted
  bool begun = false;      // on_publish or on_play
  std::shared_ptr<void> seat{};
  Traffic traffic{};
};

Grant::Grant() = default;

Grant::Grant(Grant&& other) noexcept = default;

Grant& Grant::operator=(Grant&& other) noexcept {
  if (this != &other) {
    end();
    state_ = std::move(other.state_);
    expires_ = other.expires_;
  }
  return *this;
}

Grant::~Grant() { end(); }

void Grant::count(const Traffic& traffic) {
  if (state_) state_->traffic = traffic;
}

void Grant::end() {
  if (!state_) return;
  std::unique_ptr<State> state = std::move(state_);
  state->seat.reset();
  if (!state->connected && !state->begun) return;
  Access& home = *state->home;
  if (Loop::current() == &home.loop_) return home.ended(*state);
  home.loop_.post([state = std::move(state)] { state->home->ended(*state); });
}

Access* Access::current() { return t_current; }
Access* Access::here() { return t_here; }

Access::Access(Loop& loop, SharedAccess& shared, Metrics& metrics)
    : loop_(loop),
      shared_(shared),
      options_(std::make_shared<const AccessOptions>()),
      too_fast_(
          metrics.counter("weir_access_refused_total", kRefusedHelp, {{"reason", "bitrate"}})),
      caller_(loop),
      notices_(loop, caller_,
               metrics.counter("weir_hook_notices_dropped_total",
                               "Clients whose end no callback could be told.")) {
  for (int i = 0; i < kAccessReasons; ++i) {
    const std::string reason(name(static_cast<AccessReason>(i)));
    refused_.push_back(
        &metrics.counter("weir_access_refused_total", kRefusedHelp, {{"reason", reason}}));
  }
  t_here = this;
}

Access::~Access() {
  if (t_here == this) t_here = t_current = nullptr;
}

void Access::apply(Options options) {
  options_ = std::move(options);
  t_current = options_->any() ? this : nullptr;
  if (t_current != nullptr && !armed()) loop_.arm(*this, loop_.in(kLookAround));
}

void Access::expired() {
  shared_.verdicts.sweep(loop_.now());
  loop_.arm(*this, loop_.in(kLookAround));
}

std::unexpected<AccessRefusal> Access::refuse(AccessRefusal why) {
  refused_[static_cast<std::size_t>(why.reason)]->Increment();
  return std::unexpected(std::move(why));
}

Grant Access::grant_for(const AccessRequest& request, Options options) {
  Grant grant;
  grant.state_ = std::make_unique<Grant::State>(
      Grant::State{.home = this,
                   .options = std::move(options),
                   .action = request.action,
                   .client = HookClient::of(request),
                   .connects = request.protocol != "http" && request.protocol != "srt" &&
                               request.protocol != "rtsp" && request.protocol != "webrtc"});
  return grant;
}

Task<Permit> Access::may(AccessRequest request) {
  const Options options = options_;  // those of now, whatever a reload does meanwhile
  auto permission = options->rules.judge(request, wall_seconds());
  if (!permission) co_return refuse(permission.error());
  request.names = std::move(permission->names);
  const bool follows = options->hooks.any() || options->viewers_per_stream > 0;
  Grant grant;
  if (follows) grant = grant_for(request, options);
  if (options->end_at_expiry) grant.expires_ = permission->expires.value_or(0);
  if (options->viewers_per_stream > 0 && request.action == AccessAction::Play) {
    grant.state_->seat = shared_.seats.take(request.key, options->viewers_per_stream);
    if (grant.state_->seat == nullptr)
      co_return refuse({AccessReason::Viewers, "the stream has as many viewers as it may"});
  }
  if (asks_upstream(request, *options)) {
    auto refusal = co_await ask_upstream(request, options);
    if (refusal) co_return refuse(std::move(*refusal));
  }
  if (options->hooks.any()) {
    auto refusal = co_await ask_hooks(options, grant);
    if (refusal) co_return refuse(std::move(*refusal));
  }
  co_return std::move(grant);
}

bool Access::asks_upstream(const AccessRequest& request, const AccessOptions& options) const {
  return options.traverse && ask_upstream_ && request.action == AccessAction::Play;
}

Task<std::optional<AccessRefusal>> Access::ask_upstream(AccessRequest request, Options options) {
  const std::string name = request.names.empty() ? request.key : request.names.front();
  const std::string key = upstream_key(credential_of(request), name);
  auto ask = [this, request] { return upstream_answer(request); };
  auto answer = co_await shared_.verdicts.settle(key, options->traverse_ttl, std::move(ask));
  const bool down = answer.refusal && answer.refusal->reason == AccessReason::UpstreamDown;
  if (down && options->traverse_allow_when_down) answer.refusal.reset();
  co_return std::move(answer.refusal);
}

Task<Verdicts::Answer> Access::upstream_answer(AccessRequest request) {
  auto refusal = co_await ask_upstream_(std::move(request));
  co_return Verdicts::Answer{.refusal = std::move(refusal)};
}

Task<std::optional<AccessRefusal>> Access::ask_hooks(Options options, Grant& grant) {
  Grant::State& state = *grant.state_;
  if (state.connects) {
    auto refusal = co_await ask_hook(options, HookEvent::Connect, state.client);
    if (refusal) co_return refusal;
    state.connected = true;
  }
  const bool publishes = state.action == AccessAction::Publish;
  auto refusal =
      co_await ask_hook(options, publishes ? HookEvent::Publish : HookEvent::Play, state.client);
  state.begun = !refusal;
  co_return refusal;
}

Task<std::optional<AccessRefusal>> Access::ask_hook(Options options, HookEvent event,
                                                    HookClient client) {
  const HookOptions& hooks = options->hooks;
  if (hooks.of(event).empty()) co_return std::nullopt;
  auto answer = co_await caller_.ask_all(hooks.of(event), hook_body(event, client, hooks),
                                         hooks.timeout, hooks.retries);
  if (answer && *answer) co_return std::nullopt;
  if (answer) co_return AccessRefusal{AccessReason::Hook, std::string(name(event)) + " says no"};
  log::warn("callback does not answer", {{"id", client.id},
                                         {"event", name(event)},
                                         {"reason", name(answer.error().code)},
                                         {"error", answer.error().text}});
  if (hooks.allow_when_down) co_return std::nullopt;
  co_return AccessRefusal{AccessReason::HookDown, std::string(name(event)) + " does not answer"};
}

void Access::ended(Grant::State& state) {
  const HookOptions& hooks = state.options->hooks;
  std::vector<HookNotices::Message> messages;
  const auto tell = [&](HookEvent event) {
    for (const HookUrl& url : hooks.of(event))
      messages.push_back({url, hook_body(event, state.client, hooks, state.traffic)});
  };
  const bool published = state.action == AccessAction::Publish;
  if (state.begun) tell(published ? HookEvent::Unpublish : HookEvent::Stop);
  if (state.connected) tell(HookEvent::Close);
  notices_.add(std::move(messages), hooks);
}

// Whether the client was let at a file of one of these streams a little ago.
bool Access::remembers(const AccessRequest& request) {
  return std::ranges::any_of(request.names, [&](const std::string& name) {
    return shared_.verdicts.allows(viewer_key(request, "", name), loop_.now());
  });
}

// Whether callbacks and upstream, as far as they are asked, have said yes about one of them.
bool Access::was_granted(const AccessRequest& request, const std::string& credential) {
  const bool hooks = options_->hooks.any();
  const bool upstream = asks_upstream(request, *options_);
  return std::ranges::any_of(request.names, [&](const std::string& name) {
    const bool viewing = !hooks || shared_.verdicts.allows(viewer_key(request, credential, name),
                                                           loop_.now(), options_->remember);
    return viewing &&
           (!upstream || shared_.verdicts.allows(upstream_key(credential, name), loop_.now()));
  });
}

// Its client needs to show nothing for a while. What callbacks follow is not made here.
void Access::remember(const AccessRequest& request) {
  if (options_->remember <= milliseconds(0)) return;
  for (const std::string& name : request.names) {
    const std::string key = viewer_key(request, "", name);
    const bool known = shared_.verdicts.allows(key, loop_.now(), options_->remember);
    if (!known && !options_->hooks.any())
      shared_.verdicts.allow(key, nullptr, loop_.now() + options_->remember);
  }
}

std::expected<Access::Look, AccessRefusal> Access::look(AccessRequest& request) {
  const AccessRules& rules = options_->rules;
  auto permission = rules.judge(request, wall_seconds());
  if (!permission) {
    const bool shows_nothing = permission.error().reason == AccessReason::NoToken;
    if (shows_nothing && remembers(request)) return Look::Allowed;
    return refuse(std::move(permission.error()));
  }
  request.names = std::move(permission->names);
  const bool asks = options_->hooks.any() || asks_upstream(request, *options_);
  const bool must_show = rules.of(request.action).show != AccessRules::Show::Nothing;
  if (!asks && !must_show) return Look::Allowed;
  const std::string credential = credential_of(request);
  const bool beside_playlist = credential.empty() && !is_playlist_path(request.target);
  if (!must_show && beside_playlist && remembers(request)) return Look::Allowed;
  if (asks && !was_granted(request, credential)) return Look::Ask;
  remember(request);
  return Look::Allowed;
}

Task<std::expected<void, AccessRefusal>> Access::may_fetch(AccessRequest request) {
  const Options options = options_;
  const std::string name = request.names.empty() ? request.key : request.names.front();
  if (asks_upstream(request, *options)) {
    auto refusal = co_await ask_upstream(request, options);
    if (refusal) co_return refuse(std::move(*refusal));
  }
  const std::string credential = credential_of(request);
  std::shared_ptr<void> held;
  if (options->hooks.any()) {
    auto ask = [this, request, options] { return begin_viewing(request, options); };
    auto answer = co_await shared_.verdicts.settle(viewer_key(request, credential, name),
                                                   options->remember, std::move(ask));
    if (answer.refusal) co_return refuse(std::move(*answer.refusal));
    held = std::move(answer.held);
  }
  if (!credential.empty() && options->remember > milliseconds(0))
    shared_.verdicts.allow(viewer_key(request, "", name), std::move(held),
                           loop_.now() + options->remember);
  co_return std::expected<void, AccessRefusal>{};
}

Task<Verdicts::Answer> Access::begin_viewing(AccessRequest request, Options options) {
  auto grant = std::make_shared<Grant>(grant_for(request, options));
  auto refusal = co_await ask_hooks(options, *grant);
  if (refusal) co_return Verdicts::Answer{.refusal = std::move(refusal)};
  co_return Verdicts::Answer{.held = std::move(grant)};
}

}  // namespace weir
