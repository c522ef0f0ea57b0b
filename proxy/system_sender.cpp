#include "proxy/system_sender.h"

#include <Poco/Net/HTTPServerRequest.h>

#include "common/http/forwarded.h"

namespace weir {

std::expected<std::string, SystemAnswer> sender_of(const Poco::Net::HTTPServerRequest& request,
                                                   const TrustedHops& hops) {
  std::string sender = request.clientAddress().host().toString();
  const auto peer = Address::parse(sender, request.clientAddress().port());
  if (!peer || hops.from.empty()) return sender;
  http::Headers headers;
  for (const auto& [name, value] : request)
    if (http::is_token(name)) headers.add(name, value);
  const auto client = http::take_client(headers, *peer, &hops);
  if (!client) return std::unexpected(refusal(400, client.error().text));
  return *client ? (**client).host() : "";
}

}  // namespace weir
