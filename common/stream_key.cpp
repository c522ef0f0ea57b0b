#include "common/stream_key.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

#include "common/wire/hex.h"
#include "common/wire/uri.h"

namespace weir {
namespace {

constexpr std::size_t kMaxExtension = 8;
constexpr std::string_view kDefaultInstance = "_definst_";  // Flash: the unnamed instance of an app
constexpr std::string_view kDefaultSrtApp = "live";
constexpr std::string_view kDots = "...";  // stands for '?', '=' and '&' in an app

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_alnum(char c) { return is_digit(c) || is_alpha(c); }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

struct Cut {
  std::string_view before;
  std::string_view after;  // empty when the mark is not there
};

Cut cut(std::string_view text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string_view trim_args(std::string_view args) {
  const std::size_t start = args.find_first_not_of("?&");
  return start == std::string_view::npos ? std::string_view() : args.substr(start);
}

Result<void> check_clean(std::string_view text) {
  if (std::ranges::none_of(text, is_control)) return {};
  return fail(Errc::Protocol, "stream name with control bytes");
}

// The first value that is not empty. Some clients write a second '?' where '&' belongs.
std::string_view argument(std::string_view args, std::string_view name) {
  while (!args.empty()) {
    const std::size_t end = std::min(args.find_first_of("&?"), args.size());
    const Cut pair = cut(args.substr(0, end), '=');
    if (pair.before == name && !pair.after.empty()) return pair.after;
    args.remove_prefix(std::min(end + 1, args.size()));
  }
  return {};
}

std::string_view vhost_argument(std::string_view args) {
  const std::string_view vhost = argument(args, "vhost");
  return vhost.empty() ? argument(args, "domain") : vhost;
}

// host, host:port, 1.2.3.4, [::1]:port, empty
Result<std::string> normal_vhost(std::string_view host) {
  if (host.size() > kMaxVhost + 7)  // a dot at the end, a colon, five digits
    return fail(Errc::Limit, fmt::format("host of {} bytes", host.size()));
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return fail(Errc::Protocol, "host without its bracket");
    port = host.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return fail(Errc::Protocol, "bad port");
    host = host.substr(1, end - 1);
    const auto fits = [](char c) { return is_alnum(c) || c == ':' || c == '.' || c == '%'; };
    if (!std::ranges::all_of(host, fits)) return fail(Errc::Protocol, "bad IPv6 address");
    host = {};
    port.remove_prefix(std::min<std::size_t>(port.size(), 1));
  } else if (std::ranges::count(host, ':') > 1) {
    const auto fits = [](char c) { return is_alnum(c) || c == ':' || c == '.'; };
    if (!std::ranges::all_of(host, fits)) return fail(Errc::Protocol, "bad IPv6 address");
    host = {};
  } else {
    const Cut parts = cut(host, ':');
    host = parts.before;
    port = parts.after;
  }
  if (!std::ranges::all_of(port, is_digit)) return fail(Errc::Protocol, "bad port");

  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > kMaxVhost)
    return fail(Errc::Limit, fmt::format("vhost of {} bytes", host.size()));
  const auto fits = [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; };
  if (!std::ranges::all_of(host, fits)) return fail(Errc::Protocol, "bad host name");
  if (host.starts_with('.') || host.ends_with('.') || host.find("..") != std::string_view::npos)
    return fail(Errc::Protocol, "host name with an empty label");
  const std::size_t dot = host.rfind('.');
  // A last label of digits is an IPv4 address: no top-level domain is a number.
  if (dot == std::string_view::npos || std::ranges::all_of(host.substr(dot + 1), is_digit))
    return std::string(kDefaultVhost);
  return lower(host);
}

// Joined path to app and stream, by the rules of the header.
Result<StreamName> split_path(std::string_view path) {
  if (path.find("..") != std::string_view::npos || path.find('\\') != std::string_view::npos)
    return fail(Errc::Protocol, "stream name that climbs");
  StreamName name;
  std::string_view last;  // becomes the stream unless another segment follows
  while (!path.empty()) {
    const Cut parts = cut(path, '/');
    path = parts.after;
    if (parts.before.empty()) continue;
    if (parts.before == ".") return fail(Errc::Protocol, "stream name with a dot segment");
    if (!last.empty() && last != kDefaultInstance) {
      if (!name.app.empty()) name.app += '/';
      name.app += last;
    }
    last = parts.before;
  }
  name.stream = last;
  if (name.stream.empty()) return fail(Errc::NotFound, "no stream name");
  if (name.app.empty()) return fail(Errc::NotFound, "no app in front of the stream");
  return name;
}

Result<void> check_sizes(const StreamName& name) {
  if (name.app.size() > kMaxApp)
    return fail(Errc::Limit, fmt::format("app of {} bytes", name.app.size()));
  if (name.stream.size() > kMaxStream)
    return fail(Errc::Limit, fmt::format("stream name of {} bytes", name.stream.size()));
  if (name.args.size() > kMaxArgs)
    return fail(Errc::Limit, fmt::format("arguments of {} bytes", name.args.size()));
  return {};
}

// app...vhost...x...key...value is how encoders that allow no '?' write app?vhost=x&key=value.
std::string undot(std::string_view app) {
  const std::size_t vhost = app.find("...vhost...");
  const std::size_t start = vhost != std::string_view::npos ? vhost : app.find("...domain...");
  if (start == std::string_view::npos) return std::string(app);
  std::string out(app.substr(0, start));
  std::string_view rest = app.substr(start);
  for (int i = 0; rest.starts_with(kDots); ++i) {
    rest.remove_prefix(kDots.size());
    const std::size_t end = std::min(rest.find(kDots), rest.size());
    out += i == 0 ? '?' : i % 2 == 1 ? '=' : '&';
    out += rest.substr(0, end);
    rest.remove_prefix(end);
  }
  return out;
}

// What stands behind a slash in the arguments of an app belongs to the path: app?vhost=x/stream.
// But a slash in any other value, as of a base64 token, is its own, unless nothing else names the
// stream.
struct AppArgs {
  std::string args;
  std::string path;
};

AppArgs split_app_args(std::string_view args, bool has_stream) {
  const std::string_view vhost = vhost_argument(args);
  std::size_t slash = vhost.find('/');
  if (slash != std::string_view::npos)
    slash += static_cast<std::size_t>(vhost.data() - args.data());
  else if (!has_stream)
    slash = args.rfind('/');
  if (slash == std::string_view::npos) return {std::string(args), {}};
  const std::size_t end = std::min(args.find_first_of("&?", slash), args.size());
  AppArgs split{std::string(args.substr(0, slash)),
                std::string(args.substr(slash + 1, end - slash - 1))};
  split.args += args.substr(end);
  split.args = std::string(trim_args(split.args));
  return split;
}

struct TcUrl {
  std::string_view host;
  std::string_view app;
  std::string_view args;
};

Result<TcUrl> split_tc_url(std::string_view url) {
  if (url.empty()) return TcUrl{};
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return fail(Errc::Protocol, "tcUrl without a scheme");
  url.remove_prefix(scheme + 3);
  const std::size_t end = std::min(url.find_first_of("/?"), url.size());
  TcUrl parts;
  parts.host = url.substr(0, end);
  const std::size_t user = parts.host.rfind('@');
  if (user != std::string_view::npos) parts.host.remove_prefix(user + 1);
  const Cut path = cut(url.substr(end), '?');
  parts.app = path.before;
  parts.args = trim_args(path.after);
  return parts;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = high < 0 ? -1 : hex_digit(text[i + 2]);
      if (low < 0) return fail(Errc::Protocol, "bad percent escape");
      c = static_cast<char>(high << 4 | low);
      if (c == '/' || c == '?') return fail(Errc::Protocol, "escaped delimiter in a path");
      i += 2;
    }
    out += c;
  }
  return out;
}

// RFC 3986: what stands in a path, or a query, as it is.
bool plain_in_path(char c) {
  return is_alnum(c) || std::string_view("-._~!$&'()*+,;=:@/").find(c) != std::string_view::npos;
}
bool plain_in_query(char c) {
  return plain_in_path(c) || c == '?' || c == '%' || c == '[' || c == ']';
}

template <class Plain>
std::string percent_encode(std::string_view text, Plain plain) {
  std::string out;
  for (char c : text) {
    if (plain(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

// The virtual host, from the arguments or else `host`; then all of it must fit.
Result<void> complete(StreamName& name, std::string_view host) {
  const std::string_view argument = vhost_argument(name.args);
  auto vhost = normal_vhost(argument.empty() ? host : argument);
  if (!vhost) return std::unexpected(std::move(vhost.error()));
  name.vhost = std::move(*vhost);
  return check_sizes(name);
}

}  // namespace

std::string StreamName::key() const { return fmt::format("{}/{}/{}", vhost, app, stream); }

Result<StreamName> stream_from_rtmp(std::string_view tc_url, std::string_view app,
                                    std::string_view stream) {
  if (tc_url.size() > kMaxTcUrl)
    return fail(Errc::Limit, fmt::format("tcUrl of {} bytes", tc_url.size()));
  if (app.size() > kMaxTcUrl || stream.size() > kMaxStream + 1 + kMaxArgs)
    return fail(Errc::Limit,
                fmt::format("app of {}, stream of {} bytes", app.size(), stream.size()));
  for (std::string_view text : {tc_url, app, stream})
    if (auto clean = check_clean(text); !clean) return std::unexpected(std::move(clean.error()));

  const auto url = split_tc_url(tc_url);
  if (!url) return std::unexpected(url.error());
  const Cut stream_parts = cut(stream, '?');
  const bool has_stream = stream_parts.before.find_first_not_of('/') != std::string_view::npos;

  const std::string plain_app = undot(app);
  const Cut app_parts = cut(plain_app, '?');
  const std::string_view app_path = app_parts.before.empty() ? url->app : app_parts.before;
  std::string_view app_args = trim_args(app_parts.after);
  if (app_args.empty()) app_args = url->args;
  const AppArgs split = split_app_args(app_args, has_stream);
  if (!has_stream && split.path.find_first_not_of('/') == std::string::npos)
    return fail(Errc::NotFound, "no stream name");

  auto name = split_path(fmt::format("{}/{}/{}", app_path, split.path, stream_parts.before));
  if (!name) return name;
  name->args = split.args;
  const std::string_view stream_args = trim_args(stream_parts.after);
  if (!name->args.empty() && !stream_args.empty()) name->args += '&';
  name->args += stream_args;

  const std::string_view of_url = vhost_argument(url->args);
  if (auto done = complete(*name, of_url.empty() ? url->host : of_url); !done)
    return std::unexpected(std::move(done.error()));
  return name;
}

Result<HttpStream> stream_from_http(std::string_view host_header, std::string_view target) {
  // An escape makes three bytes of one.
  if (target.size() > 3 * (kMaxApp + kMaxStream) + kMaxExtension + 4 + kMaxArgs)
    return fail(Errc::Limit, fmt::format("request target of {} bytes", target.size()));
  if (!target.starts_with('/')) return fail(Errc::Protocol, "request target without a slash");
  const Cut parts = cut(target, '?');
  if (parts.before.ends_with('/')) return fail(Errc::NotFound, "no stream name");
  auto path = percent_decode(parts.before);
  if (!path) return std::unexpected(std::move(path.error()));
  for (std::string_view text : {std::string_view(*path), parts.after})
    if (auto clean = check_clean(text); !clean) return std::unexpected(std::move(clean.error()));

  HttpStream name;
  const std::size_t dot = path->rfind('.');
  if (dot != std::string::npos) {
    const std::string_view extension = std::string_view(*path).substr(dot + 1);
    if (!extension.empty() && extension.size() <= kMaxExtension &&
        std::ranges::all_of(extension, is_alnum)) {
      name.extension = lower(extension);
      if (path->at(dot - 1) == '/') return fail(Errc::NotFound, "no stream name");
      path->resize(dot);
    }
  }
  auto split = split_path(*path);
  if (!split) return std::unexpected(std::move(split.error()));
  static_cast<StreamName&>(name) = std::move(*split);
  name.args = trim_args(parts.after);
  if (auto done = complete(name, host_header); !done)
    return std::unexpected(std::move(done.error()));
  return name;
}

Result<StreamName> stream_from_rtsp(std::string_view uri) {
  if (uri.size() > kMaxVhost + 3 * (kMaxApp + kMaxStream) + kMaxArgs)
    return fail(Errc::Limit, fmt::format("request URI of {} bytes", uri.size()));
  const UriReference parts = split_uri(uri);
  auto path = percent_decode(parts.path);
  if (!path) return std::unexpected(std::move(path.error()));
  for (std::string_view text : {std::string_view(*path), uri})
    if (auto clean = check_clean(text); !clean) return std::unexpected(std::move(clean.error()));
  auto name = split_path(*path);
  if (!name) return name;
  name->args = trim_args(parts.query.value_or(""));
  std::string_view host = parts.authority.value_or("");
  host.remove_prefix(host.rfind('@') + 1);
  if (auto done = complete(*name, host); !done) return std::unexpected(std::move(done.error()));
  return name;
}

Result<StreamName> stream_from_srt(std::string_view host, std::string_view resource) {
  if (resource.size() > kMaxApp + kMaxStream + 2 + kMaxArgs)
    return fail(Errc::Limit, fmt::format("resource of {} bytes", resource.size()));
  for (std::string_view text : {host, resource})
    if (auto clean = check_clean(text); !clean) return std::unexpected(std::move(clean.error()));
  const Cut parts = cut(resource, '?');
  auto name = split_path(parts.before);
  if (!name && name.error().code == Errc::NotFound)
    name = split_path(fmt::format("{}/{}", kDefaultSrtApp, parts.before));
  if (!name) return name;
  name->args = trim_args(parts.after);
  if (auto done = complete(*name, host); !done) return std::unexpected(std::move(done.error()));
  return name;
}

std::string tc_url(const StreamName& name, std::string_view host_port) {
  return fmt::format("rtmp://{}/{}", name.is_default_vhost() ? host_port : name.vhost, name.app);
}

std::string rtmp_stream(const StreamName& name) {
  return name.args.empty() ? name.stream : fmt::format("{}?{}", name.stream, name.args);
}

std::string rtmp_url(const StreamName& name, std::string_view host_port) {
  return fmt::format("{}/{}", tc_url(name, host_port), rtmp_stream(name));
}

std::string http_path(const StreamName& name, std::string_view extension) {
  std::string path = percent_encode(fmt::format("/{}/{}", name.app, name.stream), plain_in_path);
  if (!extension.empty()) path += fmt::format(".{}", extension);
  if (!name.args.empty()) path += '?' + percent_encode(name.args, plain_in_query);
  return path;
}

}  // namespace weir
