#include "proxy/live_picture.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <algorithm>
#include <sstream>

#include "proxy/control_json.h"

namespace weir {
namespace {

using Poco::JSON::Array;
using Poco::JSON::Object;

template <class Items>
Array::Ptr json_of(const Items& items) {
  Array::Ptr list = new Array;
  for (const auto& item : items) list->add(to_json(item));
  return list;
}

}  // namespace

std::string LivePicture::text(NodePicture picture) const {
  auto& streams = picture.streams;
  const std::size_t total = streams.size();
  if (total > kMaxStreams) {
    std::ranges::stable_sort(streams, std::greater<>{}, &StreamView::viewers);
    streams.resize(kMaxStreams);
  }
  Object::Ptr listeners = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  for (const auto& [name, at] : listen) listeners->set(name, at);
  Object object{Poco::JSON_PRESERVE_KEY_ORDER};
  object.set("server", identity.server);
  object.set("summary", to_json(picture.node, identity.version));
  object.set("listen", listeners);
  object.set("upstreams", json_of(picture.upstreams));
  object.set("streams", json_of(streams));
  object.set("streams_total", total);
  std::ostringstream out;
  object.stringify(out);
  return out.str();
}

}  // namespace weir
