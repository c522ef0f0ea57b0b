// proxy/webrtc_shared_store.h
// The WebRTC sessions of all proxies, in the state that they share.
//
// Threading: any loop; the questions travel to the state's. Bounds: the state's.
#pragma once

#include "proxy/shared_state.h"
#include "proxy/webrtc_directory.h"

namespace weir {

class SharedWebrtcStore final : public WebrtcStore {
 public:
  // REQUIRES: both outlive this, and `state` is of the loop `home`.
  SharedWebrtcStore(Loop& home, SharedState& state) : home_(home), state_(state) {}

  Task<Result<void>> put(std::string name, std::string value, milliseconds lifetime) override {
    CallTask call(home_, [&] { return state_.put(name, value, lifetime); });
    auto put = co_await call;
    co_return put;
  }
  Task<Result<std::optional<std::string>>> get(std::string name) override {
    CallTask call(home_, [&] { return state_.get(name); });
    auto got = co_await call;
    co_return got;
  }
  Task<Result<void>> remove(std::string name) override {
    CallTask call(home_, [&] { return state_.remove(name); });
    auto removed = co_await call;
    co_return removed;
  }

 private:
  Loop& home_;
  SharedState& state_;
};

}  // namespace weir
