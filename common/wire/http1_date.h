// common/wire/http1_date.h
// HTTP's dates, RFC 9110 section 5.6.7: three ways to read one, one way to write it.
//
// Threading: pure functions. Bounds: years 1601 to 9999.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace weir::http {

using Date = std::chrono::sys_seconds;

// "Sun, 06 Nov 1994 08:49:37 GMT", and the obsolete forms "Sunday, 06-Nov-94 08:49:37 GMT" and
// "Sun Nov  6 08:49:37 1994". Two digits of a year are those of the century that leads to no date
// more than 50 years after `now`. The day's name is not compared with the date.
std::optional<Date> parse_date(std::string_view text, Date now);

// The first form.
std::string format_date(Date date);

}  // namespace weir::http
