// test/support/memory_webrtc_store.h
// What proxies share, in memory, for proxies of one test.
#pragma once

#include <map>

#include "proxy/webrtc_directory.h"

namespace weir::test {

class MemoryWebrtcStore final : public WebrtcStore {
 public:
  Task<Result<void>> put(std::string name, std::string value, milliseconds) override {
    values[name] = value;
    co_return Result<void>{};
  }
  Task<Result<std::optional<std::string>>> get(std::string name) override {
    ++asked;
    const auto found = values.find(name);
    std::optional<std::string> value;
    if (found != values.end()) value = found->second;
    co_return value;
  }
  Task<Result<void>> remove(std::string name) override {
    values.erase(name);
    co_return Result<void>{};
  }

  std::map<std::string, std::string> values;
  int asked = 0;
};

}  // namespace weir::test
