// proxy/system_apis.h
// The APIs of a node that may change it, wherever the configuration wants them.
//
// A listener that a reload moves or takes away stops accepting at once, and its connections end as
// they would: one of them may carry the answer to that very reload.
//
// Threading: main's thread. Bounds: SystemApi's, twice.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/port_opener.h"
#include "common/reload.h"
#include "proxy/system_api.h"

namespace weir {

class SystemApis {
 public:
  // By option, what each serves: over TLS where the option ends in "_https".
  using Handlers = std::map<std::string, SystemApi::Handlers>;

  // Opens them. Watchers of events are handed to `events`. Throws ConfigError when one cannot be
  // had. REQUIRES: `events` and `tls` outlive this.
  SystemApis(SystemApi::Identity identity, Handlers handlers, LiveEvents& events, TlsServer& tls,
             const Config& config, OpenPorts known = {});

  Reload::Part part();
  const OpenPorts& ports() const { return open_; }
  // Another process answers from here on. Connections go on.
  void stop_accepting();
  // Connections end.
  void close();

 private:
  using Apis = std::map<std::string, std::unique_ptr<SystemApi>>;

  Reload::Commit prepare(const Config& before, const Config& after);
  std::unique_ptr<SystemApi> make(const std::string& option, const Config& config,
                                  int socket) const;

  const SystemApi::Identity identity_;
  const Handlers handlers_;
  LiveEvents& events_;
  TlsServer& tls_;
  OpenPorts open_;
  Apis apis_;
  std::vector<std::unique_ptr<SystemApi>> leaving_;
};

}  // namespace weir
