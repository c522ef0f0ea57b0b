#include "proxy/node_history.h"

#include <Poco/JSON/Array.h>

#include <algorithm>
#include <cmath>

namespace weir {
namespace {

constexpr double kShareDigits = 1000;

double rounded(double share) { return std::round(share * kShareDigits) / kShareDigits; }

}  // namespace

void NodeHistory::add(std::int64_t at_ms, const NodeView& node) {
  const std::lock_guard lock(mutex_);
  if (samples_.size() == kSamples) samples_.pop_front();
  samples_.push_back({.at_ms = at_ms,
                      .viewers = node.viewers,
                      .publishers = node.publishers,
                      .streams = node.streams,
                      .rate = node.rate,
                      .loop = node.loops.empty() ? 0 : std::ranges::max(node.loops),
                      .cpu = node.machine.process.cpu,
                      .memory_kb = node.machine.process.memory_kb});
}

Poco::JSON::Object::Ptr NodeHistory::json() const {
  Poco::JSON::Object::Ptr object = new Poco::JSON::Object{Poco::JSON_PRESERVE_KEY_ORDER};
  object->set("period_ms", std::chrono::milliseconds{kPeriod}.count());
  const std::lock_guard lock(mutex_);
  const auto column = [&](const char* name, auto of) {
    Poco::JSON::Array::Ptr values = new Poco::JSON::Array;
    for (const Sample& sample : samples_) values->add(of(sample));
    object->set(name, values);
  };
  column("at", [](const Sample& sample) { return sample.at_ms; });
  column("viewers", [](const Sample& sample) { return sample.viewers; });
  column("publishers", [](const Sample& sample) { return sample.publishers; });
  column("streams", [](const Sample& sample) { return sample.streams; });
  column("recv_kbps", [](const Sample& sample) { return std::llround(sample.rate.received_kbps); });
  column("send_kbps", [](const Sample& sample) { return std::llround(sample.rate.sent_kbps); });
  column("loop", [](const Sample& sample) { return rounded(sample.loop); });
  column("cpu", [](const Sample& sample) { return rounded(sample.cpu); });
  column("mem_kbyte", [](const Sample& sample) { return sample.memory_kb; });
  return object;
}

}  // namespace weir
