#include "cache/http_key.h"

#include <algorithm>

namespace weir {

namespace {

void append_lower(std::string_view text, std::string& out) {
  for (const char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

void append_query(std::string_view query, const std::vector<std::string>& ignored,
                  std::string& out) {
  char separator = '?';
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view argument = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::string_view name = argument.substr(0, argument.find('='));
    if (std::ranges::find(ignored, name) != ignored.end()) continue;
    out += separator;
    out += argument;
    separator = '&';
  }
}

std::string_view without_fragment(std::string_view reference) {
  return reference.substr(0, reference.find('#'));
}

}  // namespace

std::string http_cache_key(std::string_view host, std::string_view target,
                           const std::vector<std::string>& ignored_arguments) {
  std::string key;
  key.reserve(host.size() + target.size());
  append_http_cache_key(host, target, ignored_arguments, key);
  return key;
}

void append_http_cache_key(std::string_view host, std::string_view target,
                           const std::vector<std::string>& ignored_arguments, std::string& out) {
  append_lower(host, out);
  const std::size_t question = std::min(target.find('?'), target.size());
  out += target.substr(0, question);
  if (question == target.size()) return;
  if (ignored_arguments.empty())
    out += target.substr(question);
  else
    append_query(target.substr(question + 1), ignored_arguments, out);
}

std::string http_cache_key_of_reference(std::string_view base_key, std::string_view reference) {
  reference = without_fragment(reference);
  const std::size_t path = std::min(base_key.find('/'), base_key.size());
  const std::string_view host = base_key.substr(0, path);
  const std::size_t scheme = reference.find("://");
  const bool absolute = scheme != std::string_view::npos && scheme < reference.find('/');
  if (absolute || reference.starts_with("//")) {
    reference.remove_prefix(absolute ? scheme + 3 : 2);
    const std::size_t end = std::min(reference.find_first_of("/?"), reference.size());
    std::string other;
    append_lower(reference.substr(0, end), other);
    if (other != host) return {};
    return other.append(reference.substr(end));
  }
  if (reference.starts_with('/')) return std::string(host).append(reference);
  const std::string_view document = base_key.substr(0, base_key.find('?'));
  if (reference.empty() || reference.starts_with('?'))
    return std::string(document).append(reference);
  return std::string(document.substr(0, document.rfind('/') + 1)).append(reference);
}

}  // namespace weir
