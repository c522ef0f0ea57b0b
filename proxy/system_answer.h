// proxy/system_answer.h
// A request to the system API and the answer to it, without sockets. Every refusal is JSON,
// {"code":STATUS,"error":TEXT}.
//
// Threading: values. Bounds: the server's (system_api.h).
#pragma once

#include <Poco/JSON/Object.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.h"

namespace weir {

struct SystemRequest {
  std::string_view method;
  std::string_view target;  // path and query
  std::string sender;       // address without port
  std::string authorization{};
  std::string host{};
  std::string origin{};  // of the web page that asks
  std::string if_none_match{};
};

struct SystemAnswer {
  int status = 200;
  std::string body{};
  std::string type = "application/json";
  std::string allow{};         // the methods, when status is 405
  std::string authenticate{};  // how, when status is 401
  std::vector<std::pair<std::string, std::string>> headers{};
  bool events = false;  // it is LiveEvents' from here on, once the head has been read
};

SystemAnswer ok(const Poco::JSON::Object& object);
SystemAnswer refusal(int status, const std::string& why);
// Protocol becomes 400, Denied 403, NotFound 404, Busy 409, everything else 503.
SystemAnswer refusal(const Error& why);
SystemAnswer wrong_method(std::string allow);

// Who we are, as SRS would say it. `version` is MAJOR.MINOR.REVISION.
struct NodeIdentity {
  std::string server;
  std::string service;
  std::string pid;
  std::string version;

  // The fields that every answer of SRS begins with.
  Poco::JSON::Object::Ptr begin() const;
};

}  // namespace weir
