#include "cache/http_object.h"

#include <algorithm>

namespace weir {

namespace {

// As equal as RFC 9111 4.1 wants it: fields of one name are one list.
std::string joined(const http::Headers& headers, std::string_view name) {
  std::string all;
  for (const std::string_view value : headers.find_all(name)) {
    if (!all.empty()) all += ", ";
    all += value;
  }
  return all;
}

std::string rendered(http::Response response) {
  response.minor_version = 1;
  response.headers.remove("Content-Length");
  response.headers.remove("Age");
  std::string head;
  http::write(response, head);
  head.resize(head.size() - 2);  // the blank line
  return head;
}

}  // namespace

VaryValues vary_values(const http::Headers& response, const http::Headers& request) {
  VaryValues values;
  for (const std::string_view list : response.find_all("Vary"))
    for (const std::string_view name : http::split_list(list))
      values.push_back({std::string(name), joined(request, name)});
  return values;
}

bool matches(const VaryValues& values, const http::Headers& request) {
  return std::ranges::all_of(values, [&](const http::Header& field) {
    return joined(request, field.name) == field.value;
  });
}

HttpObject::HttpObject(Parts parts, std::shared_ptr<MemoryUse> memory)
    : parts_(std::move(parts)),
      memory_(std::move(memory)),
      head_(rendered(parts_.response)),
      overhead_(sizeof(HttpObject) + sizeof(HttpBody) + 2 * head_.size()),
      lifetime_(parts_.freshness.lifetime.count()),
      stale_if_error_(parts_.freshness.stale_if_error.count()) {
  memory_->add(overhead_);
}

HttpObject::~HttpObject() { memory_->remove(overhead_); }

milliseconds HttpObject::age(Clock::time_point now) const {
  const auto resident = std::chrono::duration_cast<milliseconds>(now - parts_.received);
  return parts_.freshness.initial_age + std::max(resident, milliseconds(0));
}

HttpFreshness HttpObject::freshness() const {
  HttpFreshness freshness = parts_.freshness;
  freshness.lifetime = milliseconds(lifetime_.load(std::memory_order_relaxed));
  freshness.stale_if_error = milliseconds(stale_if_error_.load(std::memory_order_relaxed));
  return freshness;
}

void HttpObject::settle(const HttpFreshness& freshness) {
  lifetime_.store(freshness.lifetime.count(), std::memory_order_relaxed);
  stale_if_error_.store(freshness.stale_if_error.count(), std::memory_order_relaxed);
}

}  // namespace weir
