#include "common/wire/http1_conditional.h"

#include <algorithm>

namespace weir::http {
namespace {

std::string_view opaque(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

// The entity-tags of a list: a comma may stand inside quotes.
bool lists(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    const std::size_t quote = list.find('"');
    const std::size_t close = quote == list.npos ? list.npos : list.find('"', quote + 1);
    const std::size_t end = close == list.npos ? list.size() : close + 1;
    std::string_view member = list.substr(0, end);
    member.remove_prefix(std::min(member.find_first_not_of(", \t"), member.size()));
    if (weakly_same(member, tag)) return true;
    list.remove_prefix(end);
  }
  return false;
}

std::optional<Date> date_in(const Headers& headers, std::string_view name, Date now) {
  const auto text = headers.find(name);
  return text ? parse_date(*text, now) : std::nullopt;
}

}  // namespace

bool weakly_same(std::string_view a, std::string_view b) { return opaque(a) == opaque(b); }

bool strongly_same(std::string_view a, std::string_view b) {
  return a == b && !a.starts_with("W/");
}

bool not_modified(const Headers& request, const Headers& stored, Date now) {
  if (request.has("If-None-Match")) {
    const auto tag = stored.find("ETag");
    for (const std::string_view list : request.find_all("If-None-Match")) {
      if (trim(list) == "*" || (tag && lists(list, *tag))) return true;
    }
    return false;
  }
  const auto since = date_in(request, "If-Modified-Since", now);
  if (!since) return false;
  auto modified = date_in(stored, "Last-Modified", now);
  if (!modified) modified = date_in(stored, "Date", now);
  return modified && *modified <= *since;
}

bool range_applies(const Headers& request, const Headers& stored, Date now) {
  const auto condition = request.find("If-Range");
  if (!condition) return true;
  if (condition->find('"') != std::string_view::npos) {
    const auto tag = stored.find("ETag");
    return tag && strongly_same(*condition, *tag);
  }
  const auto wanted = parse_date(*condition, now);
  return wanted && wanted == date_in(stored, "Last-Modified", now);
}

}  // namespace weir::http
