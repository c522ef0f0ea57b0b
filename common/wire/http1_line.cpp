#include "common/wire/http1_line.h"

#include <algorithm>

namespace weir::http {
namespace {

constexpr bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Result<std::optional<std::string_view>> LineReader::next(ByteView& input, std::size_t max) {
  if (clear_) partial_.clear();
  clear_ = false;

  const std::string_view text = as_text(input);
  const std::size_t line_feed = text.find('\n');
  const bool complete = line_feed != std::string_view::npos;
  std::string_view line = complete ? text.substr(0, line_feed) : text;
  if (!complete || !partial_.empty()) {
    // Room for the CR and one byte too many: enough to tell that the line is too long.
    const std::size_t room = max + 2 - std::min(partial_.size(), max + 2);
    partial_.append(line.substr(0, room));
    line = partial_;
  }
  if (without_cr(line).size() > max) return fail(Errc::Limit, "line is too long");
  input = input.subspan(complete ? line_feed + 1 : input.size());
  if (!complete) return std::nullopt;

  clear_ = true;
  if (!line.ends_with('\r')) return fail(Errc::Protocol, "line ends without CR");
  line.remove_suffix(1);
  if (std::ranges::any_of(line, is_control)) return fail(Errc::Protocol, "control byte in a line");
  return line;
}

}  // namespace weir::http
