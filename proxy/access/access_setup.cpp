#include "proxy/access/access_setup.h"

#include <spdlog/fmt/fmt.h>

#include "proxy/hop_mark.h"

namespace weir {

namespace {

using Show = AccessRules::Show;

constexpr std::size_t kLeastSecret = 16;

Show show_of(const Config& config, const std::string& option) {
  const std::string& wanted = config.text(option);
  const Show show = wanted == "signature" ? Show::Signature
                    : wanted == "jwt"     ? Show::Token
                    : wanted == "any"     ? Show::Either
                                          : Show::Nothing;
  const bool signature = show == Show::Signature || show == Show::Either;
  const bool token = show == Show::Token || show == Show::Either;
  if (signature && config.text("access.sign.secret").empty())
    throw config.mistake(option, "needs access.sign.secret");
  if (token && config.text("access.jwt.keys").empty())
    throw config.mistake(option, "needs access.jwt.keys");
  return show;
}

AccessRules::Role role_of(const Config& config, const std::string& section) {
  AccessRules::Role role;
  if (!config.text(section + ".allow").empty()) role.allow = config.networks(section + ".allow");
  role.deny = config.networks(section + ".deny");
  role.show = show_of(config, section + ".require");
  return role;
}

AccessRules rules_of(const Config& config) {
  AccessRules rules;
  rules.play = role_of(config, "access.play");
  rules.publish = role_of(config, "access.publish");
  for (const char* option : {"access.sign.secret", "access.sign.previous"}) {
    const std::string& secret = config.text(option);
    if (secret.empty()) continue;
    if (secret.size() < kLeastSecret)
      throw config.mistake(option, fmt::format("needs at least {} bytes", kLeastSecret));
    rules.secrets.push_back(secret);
  }
  rules.token = {.audience = config.text("access.jwt.audience"),
                 .issuer = config.text("access.jwt.issuer"),
                 .leeway = config.duration("access.jwt.leeway").count() / 1000};
  rules.token_argument = config.text("access.jwt.argument");
  const std::string& file = config.text("access.jwt.keys");
  if (file.empty()) return rules;
  auto keys = read_keys(file);
  if (!keys) throw config.mistake("access.jwt.keys", keys.error().text);
  rules.keys = std::move(*keys);
  return rules;
}

// The file is read here, also when no URL needs it yet.
void trust_of(const Config& config, HookOptions& hooks) {
  const std::string& file = config.text("access.hook.tls_ca");
  std::vector<HookUrl*> over_tls;
  for (auto& urls : hooks.urls)
    for (HookUrl& url : urls)
      if (url.endpoint.tls) over_tls.push_back(&url);
  if (file.empty() && over_tls.empty()) return;
  auto context = TlsContext::client(file);
  if (!context) throw config.mistake("access.hook.tls_ca", context.error().text);
  const auto trust = std::make_shared<const TlsContext>(std::move(*context));
  for (HookUrl* url : over_tls) url->trust = trust;
}

HookOptions hooks_of(const Config& config, const std::string& node) {
  HookOptions hooks;
  for (std::size_t i = 0; i < kHookEvents; ++i) {
    const std::string option = fmt::format("access.hook.{}", name(static_cast<HookEvent>(i)));
    auto urls = parse_hook_urls(config.text(option));
    if (!urls) throw config.mistake(option, urls.error().text);
    hooks.urls[i] = std::move(*urls);
  }
  trust_of(config, hooks);
  hooks.timeout = config.duration("access.hook.timeout");
  hooks.retries = static_cast<int>(config.integer("access.hook.retries"));
  hooks.allow_when_down = config.text("access.hook.when_down") == "allow";
  hooks.queue = static_cast<std::size_t>(config.integer("access.hook.queue"));
  hooks.server_id = node;
  hooks.service_id = random_id();
  return hooks;
}

}  // namespace

AccessSettings access_settings_of(const Config& config, const std::string& node) {
  AccessSettings settings;
  AccessOptions& options = settings.options;
  options.rules = rules_of(config);
  options.hooks = hooks_of(config, node);
  options.traverse = config.boolean("access.traverse") && config.text("role") == "edge";
  options.traverse_ttl = config.duration("access.traverse_ttl");
  options.traverse_allow_when_down = config.text("access.traverse_when_down") == "allow";
  options.end_at_expiry = config.boolean("access.end_at_expiry");
  options.remember = config.duration("access.remember");
  options.viewers_per_stream =
      static_cast<std::size_t>(config.integer("limits.viewers_per_stream"));
  options.publish_kbps = static_cast<std::uint64_t>(config.integer("limits.publish_bitrate"));
  options.publish_patience = config.duration("limits.publish_patience");
  settings.key_file = config.text("access.jwt.keys");
  return settings;
}

}  // namespace weir
