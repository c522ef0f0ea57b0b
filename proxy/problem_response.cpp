#include "proxy/problem_response.h"

#include <Poco/JSON/Object.h>

#include <sstream>

#include "common/wire/http1.h"

namespace weir {

std::string problem_response(int status, std::string_view why, std::string_view id, bool keep_alive,
                             const http::Headers& more) {
  Poco::JSON::Object problem(Poco::JSON_PRESERVE_KEY_ORDER);
  problem.set("type", "about:blank");
  problem.set("title", std::string(http::reason_phrase(status)));
  problem.set("status", status);
  problem.set("detail", std::string(why));
  std::ostringstream body;
  problem.stringify(body);
  http::Headers extra{{"Cache-Control", "no-store"}, {"Access-Control-Allow-Origin", "*"}};
  if (!id.empty()) extra.add("X-Request-Id", id);
  if (!keep_alive) extra.add("Connection", "close");
  for (const auto& [name, value] : more) extra.add(name, value);
  return http::simple_response(status, "application/problem+json", body.str(), extra);
}

}  // namespace weir
