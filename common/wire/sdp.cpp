#include "common/wire/sdp.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace weir::sdp {

namespace {

constexpr std::size_t kMinUfrag = 4;
constexpr std::size_t kMinPassword = 22;
constexpr std::size_t kMaxCredential = 256;
constexpr std::size_t kMaxAddress = 255;

constexpr std::string_view kUfrag = "a=ice-ufrag:";
constexpr std::string_view kPassword = "a=ice-pwd:";
constexpr std::string_view kCandidate = "a=candidate:";
constexpr std::string_view kNowhere = "IN IP4 0.0.0.0";
constexpr std::string_view kDiscardPort = "9";  // RFC 8840 4.1.1: no default candidate

// RFC 8839 5.1: ALPHA / DIGIT / "+" / "/", and "-" and "_", which some write.
bool is_ice_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("+/-_=").find(c) != std::string_view::npos;
}

bool is_credential(std::string_view text, std::size_t least) {
  return text.size() >= least && text.size() <= kMaxCredential &&
         std::ranges::all_of(text, is_ice_char);
}

// Lines end with CRLF or, from some, with LF.
std::optional<std::string_view> next_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view next_word(std::string_view& text) {
  const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(begin);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_address(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".:-_").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= kMaxAddress && std::ranges::all_of(text, fits);
}

bool same_word(std::string_view a, std::string_view lower) {
  const auto equal = [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; };
  return std::ranges::equal(a, lower, equal);
}

// RFC 8839 5.1: foundation component transport priority address port "typ" ...
std::optional<Candidate> candidate_of(std::string_view line) {
  std::string_view left = line.substr(kCandidate.size());
  next_word(left);
  const std::string_view component = next_word(left);
  const std::string_view transport = next_word(left);
  const auto priority = number_of<std::uint32_t>(next_word(left));
  const std::string_view address = next_word(left);
  const auto port = number_of<std::uint16_t>(next_word(left));
  const bool tcp = same_word(transport, "tcp");
  if (component != "1" || !priority || !port || *port == 0 || !is_address(address) ||
      (!tcp && !same_word(transport, "udp")))
    return std::nullopt;
  return Candidate{std::string(address), *port, *priority, tcp};
}

// A section's credentials, or the session's.
struct Scope {
  std::string_view ufrag;
  std::string_view password;
};

Result<void> add_credentials(Ice& ice, const Scope& section, const Scope& session) {
  const std::string_view ufrag = section.ufrag.empty() ? session.ufrag : section.ufrag;
  const std::string_view password = section.password.empty() ? session.password : section.password;
  if (ufrag.empty() && password.empty()) return {};
  if (!is_credential(ufrag, kMinUfrag) || !is_credential(password, kMinPassword))
    return fail(Errc::Protocol, "malformed ICE credentials");
  const Credentials credentials{std::string(ufrag), std::string(password)};
  if (std::ranges::find(ice.credentials, credentials) == ice.credentials.end())
    ice.credentials.push_back(credentials);
  return {};
}

void add_candidate(Ice& ice, std::string_view line) {
  auto candidate = candidate_of(line);
  if (!candidate || ice.candidates.size() == kMaxCandidates) return;
  const auto same = [&](const Candidate& known) {
    return known.address == candidate->address && known.port == candidate->port &&
           known.tcp == candidate->tcp;
  };
  if (std::ranges::none_of(ice.candidates, same)) ice.candidates.push_back(std::move(*candidate));
}

Result<void> check(std::string_view text) {
  if (text.size() > kMaxText) return fail(Errc::Limit, "long session description");
  if (std::ranges::count(text, '\n') >= static_cast<std::ptrdiff_t>(kMaxLines))
    return fail(Errc::Limit, "many lines in a session description");
  while (auto line = next_line(text)) {
    if (line->empty()) continue;
    const bool formed = line->size() >= 2 && (*line)[1] == '=' && (*line)[0] >= 'a' &&
                        (*line)[0] <= 'z' &&
                        line->find_first_of(std::string_view("\r\0", 2)) == std::string_view::npos;
    if (!formed) return fail(Errc::Protocol, "not a session description");
    std::string_view media = line->starts_with("m=") ? line->substr(2) : "media port";
    const bool whole = !next_word(media).empty() && !next_word(media).empty();
    if (!whole) return fail(Errc::Protocol, "a media line without a port");
  }
  return {};
}

// What an m= line becomes: without its port, unless that refuses the section or defers to a bundle.
std::string media_line(std::string_view line) {
  std::string_view left = line.substr(2);
  const std::string_view kind = next_word(left);
  const std::string_view port = next_word(left);
  return fmt::format("m={} {}{}", kind, port == "0" ? "0" : kDiscardPort, left);
}

// RFC 8866 5.2: the last three words are network type, address type and address.
std::string origin_line(std::string_view line) {
  std::string_view left = line.substr(2);
  const auto word = [&left] {
    const std::string_view next = next_word(left);
    return next.empty() ? "0" : next;  // or ours would be taken for it
  };
  const std::string_view user = word();
  const std::string_view session = word();
  const std::string_view version = word();
  return fmt::format("o={} {} {} {}", user, session, version, kNowhere);
}

bool is_dropped(std::string_view line) {
  return line.starts_with(kCandidate) || line.starts_with("a=end-of-candidates") ||
         line.starts_with("a=remote-candidates");
}

std::string rewritten(std::string_view line) {
  if (line.starts_with("m=")) return media_line(line);
  if (line.starts_with("o=")) return origin_line(line);
  if (line.starts_with("c=")) return fmt::format("c={}", kNowhere);
  if (line.starts_with("a=rtcp:")) return fmt::format("a=rtcp:{} {}", kDiscardPort, kNowhere);
  return std::string(line);
}

std::string candidate_lines(std::span<const Candidate> candidates) {
  std::string lines;
  int foundation = 0;
  for (const Candidate& each : candidates)
    lines += fmt::format("a=candidate:{} 1 {} {} {} {} typ host{}\r\n", ++foundation,
                         each.tcp ? "tcp" : "udp", each.priority, each.address, each.port,
                         each.tcp ? " tcptype passive" : "");
  if (!candidates.empty()) lines += "a=end-of-candidates\r\n";
  return lines;
}

}  // namespace

Result<Ice> read_ice(std::string_view text) {
  auto sound = check(text);
  if (!sound) return std::unexpected(sound.error());
  Ice ice;
  Scope session;
  Scope section;
  std::size_t sections = 0;
  while (auto line = next_line(text)) {
    if (line->starts_with("m=")) {
      auto added = sections == 0 ? Result<void>{} : add_credentials(ice, section, session);
      if (!added) return std::unexpected(added.error());
      if (++sections > kMaxSections) return fail(Errc::Limit, "many media sections");
      section = {};
    }
    Scope& scope = sections == 0 ? session : section;
    if (line->starts_with(kUfrag)) scope.ufrag = line->substr(kUfrag.size());
    if (line->starts_with(kPassword)) scope.password = line->substr(kPassword.size());
    if (line->starts_with(kCandidate)) add_candidate(ice, *line);
    if (*line == "a=recvonly") ice.receives = true;
  }
  auto added = add_credentials(ice, section, session);
  if (!added) return std::unexpected(added.error());
  std::ranges::stable_sort(ice.candidates, std::ranges::greater{}, &Candidate::priority);
  return ice;
}

std::string with_candidates(std::string_view text, std::span<const Candidate> candidates) {
  const std::string ours = candidate_lines(candidates);
  std::string out;
  out.reserve(text.size() + 4 * ours.size());
  bool in_section = false;
  bool refused = false;      // port 0
  bool bundle_only = false;  // which is no refusal then
  const auto end_section = [&] {
    if (in_section && (!refused || bundle_only)) out += ours;
  };
  while (auto line = next_line(text)) {
    if (line->empty() || is_dropped(*line)) continue;
    if (line->starts_with("m=")) {
      end_section();
      std::string_view left = line->substr(2);
      next_word(left);
      refused = next_word(left) == "0";
      bundle_only = false;
      in_section = true;
    }
    if (*line == "a=bundle-only") bundle_only = true;
    out += rewritten(*line);
    out += "\r\n";
  }
  end_section();
  return out;
}

}  // namespace weir::sdp
