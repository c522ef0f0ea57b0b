#include "common/wire/http1_first_line.h"

#include <algorithm>

#include "common/wire/http1_headers.h"

namespace weir::http {
namespace {

constexpr std::size_t kVersion = 8;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<Refusal> bad(std::string text) {
  return refuse(400, Errc::Protocol, std::move(text));
}

}  // namespace

Parsed<RequestLine> read_request_line(std::string_view line, ReadVersion read_version) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == last) return bad("request line does not have three parts");
  const std::string_view method = line.substr(0, first);
  if (!is_token(method)) return bad("malformed method");
  const Parsed<int> version = read_version(line.substr(last + 1));
  if (!version) return std::unexpected(version.error());
  return RequestLine{method, line.substr(first + 1, last - first - 1), *version};
}

Parsed<StatusLine> read_status_line(std::string_view line, ReadVersion read_version) {
  const Parsed<int> version = read_version(line.substr(0, kVersion));
  if (!version) return std::unexpected(version.error());
  const std::string_view status = line.substr(kVersion, 4);
  if (status.size() != 4 || status[0] != ' ' || !std::ranges::all_of(status.substr(1), is_digit) ||
      status[1] == '0' || (line.size() > 12 && line[12] != ' '))
    return bad("malformed status line");
  return StatusLine{*version, (status[1] - '0') * 100 + (status[2] - '0') * 10 + (status[3] - '0'),
                    line.substr(std::min<std::size_t>(13, line.size()))};
}

}  // namespace weir::http
