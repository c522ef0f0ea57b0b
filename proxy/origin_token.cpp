#include "proxy/origin_token.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/wire/http1_headers.h"
#include "proxy/upstream.h"

namespace weir {
namespace {

constexpr std::size_t kTokenChars = 13;               // 64 bits, 5 each
constexpr std::uint64_t kTokenSeed = 0x6f726967696e;  // apart from the hash's other uses
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

// The value of an argument of ours.
std::optional<std::string_view> tokens_of(std::string_view argument) {
  if (!argument.starts_with(kOriginArgument)) return std::nullopt;
  argument.remove_prefix(kOriginArgument.size());
  if (!argument.starts_with('=')) return std::nullopt;
  return argument.substr(1);
}

// Cuts the first argument off a query; the empty one counts. Nothing at the query's end.
std::optional<std::string_view> next_argument(std::optional<std::string_view>& query) {
  if (!query) return std::nullopt;
  const std::size_t end = query->find('&');
  const std::string_view argument = query->substr(0, end);
  if (end == std::string_view::npos)
    query.reset();
  else
    query->remove_prefix(end + 1);
  return argument;
}

// A view of the query.
std::optional<std::string_view> tokens_in(std::optional<std::string_view> query) {
  while (const auto argument = next_argument(query))
    if (const auto tokens = tokens_of(*argument)) return tokens;
  return std::nullopt;
}

std::string_view first_of(std::string_view tokens) { return tokens.substr(0, tokens.find('.')); }

std::optional<Endpoint> endpoint_of(std::string_view authority, std::uint16_t default_port) {
  auto endpoint = parse_endpoint(authority, "", default_port);
  if (!endpoint) return std::nullopt;
  return std::move(*endpoint);
}

// What a reader may take for something else than split_uri() does, or what only a player can
// resolve: an HLS variable may hold a whole origin (RFC 8216bis 4.3).
bool is_ambiguous(std::string_view uri) {
  const auto bad = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\\'; };
  return uri.starts_with("{$") || std::ranges::any_of(uri, bad);
}

}  // namespace

std::string origin_token(std::string_view upstream_id) {
  constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";
  std::uint64_t hash = stable_hash(upstream_id, kTokenSeed);
  std::string token(kTokenChars, ' ');
  for (char& c : token) {
    c = kDigits[hash & 31];
    hash >>= 5;
  }
  return token;
}

OriginNaming OriginNaming::among(std::span<const std::string> upstream_ids) {
  OriginNaming naming{.on = upstream_ids.size() > 1};
  for (const std::string& id : upstream_ids) naming.only.push_back(origin_token(id));
  return naming;
}

bool OriginNaming::is_ours(std::string_view token) const {
  return only.empty() || std::ranges::find(only, token) != only.end();
}

std::optional<std::string> take_origin_token(std::string& target, const OriginNaming& naming) {
  const std::size_t question = target.find('?');
  if (question == std::string::npos) return std::nullopt;
  std::optional<std::string_view> query = std::string_view(target).substr(question + 1);
  const auto tokens = tokens_in(query);
  if (!tokens || !naming.is_ours(first_of(*tokens))) return std::nullopt;
  std::string token(first_of(*tokens));

  std::string kept = target.substr(0, question);
  char separator = '?';
  while (auto argument = next_argument(query)) {
    // In every place: a player may put its playlist's query behind each segment's.
    const auto here = tokens_of(*argument);
    const bool mine = here && first_of(*here) == token;
    if (mine && here->size() == token.size()) continue;
    kept += separator;
    separator = '&';
    if (mine)
      kept += fmt::format("{}={}", kOriginArgument, here->substr(token.size() + 1));
    else
      kept += *argument;
  }
  target = std::move(kept);
  return token;
}

OriginUris::OriginUris(std::string token, std::string_view host,
                       std::span<const Endpoint> endpoints, const OriginNaming& naming)
    : token_(std::move(token)),
      leaves_named_(!naming.only.empty()),
      host_{endpoint_of(host, kHttpPort), endpoint_of(host, kHttpsPort)},
      endpoints_(endpoints.begin(), endpoints.end()) {}

std::optional<std::string> OriginUris::bind(std::string_view text, UriUse use) const {
  if (is_ambiguous(text)) return std::nullopt;
  const UriReference uri = split_uri(text);
  const bool relative = uri.is_relative();
  if (relative && uri.path.empty() && !uri.query) return std::nullopt;  // this document itself
  if (!relative && !is_ours(uri)) return std::nullopt;

  std::string bound;
  // Two slashes in front would be an authority; RFC 3986 4.2.
  if (!relative) bound = uri.path.starts_with("//") ? "/." : uri.path.empty() ? "/" : "";
  bound += uri.path;
  auto query = use == UriUse::Fetched ? with_token(uri.query) : std::nullopt;
  if (!query && relative) return std::nullopt;
  if (query)
    bound += fmt::format("?{}", *query);
  else if (uri.query)
    bound += fmt::format("?{}", *uri.query);
  if (uri.fragment) bound += fmt::format("#{}", *uri.fragment);
  return bound;
}

bool OriginUris::is_ours(const UriReference& uri) const {
  if (!uri.authority) return false;
  if (!uri.scheme) return is_ours(*uri.authority, false) || is_ours(*uri.authority, true);
  const bool secure = http::same_ignoring_case(*uri.scheme, "https");
  return (secure || http::same_ignoring_case(*uri.scheme, "http")) &&
         is_ours(*uri.authority, secure);
}

bool OriginUris::is_ours(std::string_view authority, bool secure) const {
  auto named = endpoint_of(authority, secure ? kHttpsPort : kHttpPort);
  if (!named) return false;
  if (named == host_[secure ? 1 : 0]) return true;
  named->tls = secure;
  return std::ranges::find(endpoints_, *named) != endpoints_.end();
}

std::optional<std::string> OriginUris::with_token(std::optional<std::string_view> query) const {
  if (!query) return fmt::format("{}={}", kOriginArgument, token_);
  const auto tokens = tokens_in(*query);
  if (!tokens) return fmt::format("{}&{}={}", *query, kOriginArgument, token_);
  const auto tiers = static_cast<std::size_t>(std::ranges::count(*tokens, '.')) + 1;
  if (leaves_named_ || first_of(*tokens) == token_ || tiers >= kMaxTiers) return std::nullopt;
  const auto at = static_cast<std::size_t>(tokens->data() - query->data());
  return fmt::format("{}{}.{}", query->substr(0, at), token_, query->substr(at));
}

}  // namespace weir
