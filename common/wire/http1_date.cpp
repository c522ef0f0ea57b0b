#include "common/wire/http1_date.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

namespace weir::http {
namespace {

using namespace std::chrono;

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr int kFirstYear = 1601;

// Takes from the front of a text; once something does not fit, everything after fails.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void literal(std::string_view wanted) {
    ok_ = ok_ && rest_.starts_with(wanted);
    if (ok_) rest_.remove_prefix(wanted.size());
  }
  template <std::size_t N>
  std::size_t word(const std::array<std::string_view, N>& words) {
    const auto found = std::ranges::find_if(
        words, [this](std::string_view each) { return rest_.starts_with(each); });
    ok_ = ok_ && found != words.end();
    if (!ok_) return 0;
    rest_.remove_prefix(found->size());
    return static_cast<std::size_t>(found - words.begin());
  }
  int digits(std::size_t count) {
    const std::string_view text = rest_.substr(0, count);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    ok_ = ok_ && text.size() == count && std::ranges::all_of(text, is_digit);
    if (!ok_) return 0;
    rest_.remove_prefix(count);
    int value = 0;
    for (const char c : text) value = value * 10 + (c - '0');
    return value;
  }
  // Of two places, the first of which may be blank.
  int padded_day() {
    if (!rest_.starts_with(' ')) return digits(2);
    rest_.remove_prefix(1);
    return digits(1);
  }
  bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct Parts {
  int year = 0;
  std::size_t month = 0;
  int day = 0;
  seconds time{0};
};

seconds take_time(Scanner& text) {
  const int hour = text.digits(2);
  text.literal(":");
  const int minute = text.digits(2);
  text.literal(":");
  const int second = text.digits(2);
  // A leap second is the next minute's first.
  if (hour > 23 || minute > 59 || second > 60) text.literal("\n");
  return hours(hour) + minutes(minute) + seconds(second);
}

std::optional<Date> date_of(const Parts& parts) {
  const year_month_day day{year(parts.year), month(static_cast<unsigned>(parts.month) + 1),
                           std::chrono::day(static_cast<unsigned>(parts.day))};
  if (parts.year < kFirstYear || !day.ok()) return std::nullopt;
  return sys_days(day) + parts.time;
}

std::optional<Date> parse_fixed(std::string_view text) {
  Scanner scan(text);
  Parts parts;
  scan.word(kDays);
  scan.literal(", ");
  parts.day = scan.digits(2);
  scan.literal(" ");
  parts.month = scan.word(kMonths);
  scan.literal(" ");
  parts.year = scan.digits(4);
  scan.literal(" ");
  parts.time = take_time(scan);
  scan.literal(" GMT");
  return scan.at_end() ? date_of(parts) : std::nullopt;
}

std::optional<Date> parse_rfc850(std::string_view text, Date now) {
  Scanner scan(text);
  Parts parts;
  scan.word(kLongDays);
  scan.literal(", ");
  parts.day = scan.digits(2);
  scan.literal("-");
  parts.month = scan.word(kMonths);
  scan.literal("-");
  const int two_digits = scan.digits(2);
  scan.literal(" ");
  parts.time = take_time(scan);
  scan.literal(" GMT");
  if (!scan.at_end()) return std::nullopt;
  const int this_year = static_cast<int>(year_month_day(floor<days>(now)).year());
  parts.year = this_year / 100 * 100 + 100 + two_digits;
  while (parts.year > this_year + 50) parts.year -= 100;
  return date_of(parts);
}

std::optional<Date> parse_asctime(std::string_view text) {
  Scanner scan(text);
  Parts parts;
  scan.word(kDays);
  scan.literal(" ");
  parts.month = scan.word(kMonths);
  scan.literal(" ");
  parts.day = scan.padded_day();
  scan.literal(" ");
  parts.time = take_time(scan);
  scan.literal(" ");
  parts.year = scan.digits(4);
  return scan.at_end() ? date_of(parts) : std::nullopt;
}

}  // namespace

std::optional<Date> parse_date(std::string_view text, Date now) {
  if (auto fixed = parse_fixed(text)) return fixed;
  if (auto old = parse_rfc850(text, now)) return old;
  return parse_asctime(text);
}

std::string format_date(Date date) {
  const auto day = floor<days>(date);
  const year_month_day parts(day);
  const hh_mm_ss time(date - day);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[weekday(day).c_encoding()],
                     static_cast<unsigned>(parts.day()),
                     kMonths[static_cast<unsigned>(parts.month()) - 1],
                     static_cast<int>(parts.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

}  // namespace weir::http
