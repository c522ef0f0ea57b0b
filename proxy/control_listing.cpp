#include "proxy/control_listing.h"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Parser.h>
#include <spdlog/fmt/fmt.h>

#include "proxy/control_json.h"

namespace weir {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

Object::Ptr node_line(const std::string& id, const std::string& error) {
  Object::Ptr line = new Object{Poco::JSON_PRESERVE_KEY_ORDER};
  line->set("id", id);
  line->set("ok", error.empty());
  if (!error.empty()) line->set("error", valid_utf8(error));
  return line;
}

// The items of an upstream's answer, or what is wrong with it.
Result<std::vector<Object::Ptr>> items_of(const std::string& body, const std::string& name) {
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(ControlListing::kMaxDepth);
    const Var root = parser.parse(body);
    if (root.type() != typeid(Object::Ptr)) return fail(Errc::Protocol, "answer: no JSON object");
    Object::Ptr answer = root.extract<Object::Ptr>();
    if (answer->optValue<int>("code", -1) != 0)
      return fail(Errc::Protocol, "answer: code is not 0");
    if (const auto single = answer->getObject(name)) return std::vector{single};
    const auto array = answer->getArray(name);
    if (!array) return fail(Errc::Protocol, fmt::format("answer: no field {}", name));
    std::vector<Object::Ptr> items;
    for (std::size_t i = 0; i < array->size(); ++i)
      if (auto item = array->getObject(static_cast<unsigned>(i))) items.push_back(item);
    return items;
  } catch (const std::exception&) {
    return fail(Errc::Protocol, "answer: not JSON");
  }
}

}  // namespace

void ControlListing::into(Object& object) const {
  Array::Ptr list = new Array;
  for (const auto& item : items) list->add(item);
  if (total) object.set("total", *total);
  object.set(name, list);
}

void ControlListing::into(Object& object, const std::string& self,
                          const std::vector<ClusterAnswer>& answers) const {
  Array::Ptr list = new Array;
  Array::Ptr nodes = new Array;
  const auto take = [&list](Object::Ptr item, const std::string& node) {
    item->set("node", node);
    list->add(item);
  };
  nodes->add(node_line(self, ""));
  for (const auto& item : items) take(item, self);
  for (const ClusterAnswer& answer : answers) {
    Result<std::vector<Object::Ptr>> theirs = fail(Errc::Unavailable, "");
    if (answer.body)
      theirs = items_of(*answer.body, name);
    else
      theirs = std::unexpected(answer.body.error());
    nodes->add(node_line(answer.id, theirs ? "" : theirs.error().text));
    if (!theirs) continue;
    for (const auto& item : *theirs) take(item, answer.id);
  }
  object.set("nodes", nodes);
  if (total) object.set("total", *total);
  object.set(name, list);
}

}  // namespace weir
