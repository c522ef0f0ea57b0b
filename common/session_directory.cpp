#include "common/session_directory.h"

#include "common/io/ask.h"

namespace weir {

SessionDirectory::SessionDirectory(LoopGroup& loops, milliseconds patience,
                                   MakeWitness make_witness)
    : loops_(loops), patience_(patience), sessions_(loops.size()) {
  loops.on_each([this, &make_witness](Loop& loop) {
    sessions_[static_cast<std::size_t>(loop.index())] =
        std::make_unique<Sessions>(loop, make_witness ? make_witness() : nullptr);
  });
}

SessionDirectory::~SessionDirectory() {
  loops_.on_each([this](Loop& loop) { sessions_[static_cast<std::size_t>(loop.index())].reset(); });
}

std::size_t SessionDirectory::size() const {
  std::size_t total = 0;
  for (const auto& each : sessions_) total += each->size();
  return total;
}

Result<SessionDirectory::Page> SessionDirectory::page(std::size_t start, std::size_t count,
                                                      std::string stream) {
  auto counted =
      ask_each(loops_, [this, stream](Loop& loop) { return of(loop).count(stream); }, patience_);
  if (!counted) return std::unexpected(counted.error());
  struct Slice {
    std::size_t start = 0;
    std::size_t count = 0;
  };
  Page page;
  std::vector<Slice> slices;
  std::size_t skip = start;
  std::size_t left = std::min(count, kMaxPage);
  for (const std::size_t here : *counted) {
    page.total += here;
    const std::size_t passed = std::min(skip, here);
    const std::size_t taken = std::min(here - passed, left);
    slices.push_back({passed, taken});
    skip -= passed;
    left -= taken;
  }
  auto listed = ask_each(
      loops_,
      [this, stream, slices](Loop& loop) {
        const Slice slice = slices[static_cast<std::size_t>(loop.index())];
        return of(loop).list(slice.start, slice.count, stream);
      },
      patience_);
  if (!listed) return std::unexpected(listed.error());
  for (auto& part : *listed)
    for (auto& session : part) page.sessions.push_back(std::move(session));
  return page;
}

Result<SessionState> SessionDirectory::find(std::string id) {
  auto found = ask_each(
      loops_, [this, id = std::move(id)](Loop& loop) { return of(loop).find(id); }, patience_);
  if (!found) return std::unexpected(found.error());
  for (auto& session : *found)
    if (session) return std::move(*session);
  return fail(Errc::NotFound, "no such client");
}

Result<void> SessionDirectory::end(std::string id, Error why) {
  auto ended = ask_each(
      loops_,
      [this, id = std::move(id), why = std::move(why)](Loop& loop) {
        return of(loop).end(id, why);
      },
      patience_);
  if (!ended) return std::unexpected(ended.error());
  for (const bool found : *ended)
    if (found) return {};
  return fail(Errc::NotFound, "no such client");
}

Result<SessionsByStream> SessionDirectory::by_stream() {
  auto parts = ask_each(loops_, [this](Loop& loop) { return of(loop).by_stream(); }, patience_);
  if (!parts) return std::unexpected(parts.error());
  SessionsByStream streams;
  for (const auto& part : *parts)
    for (const auto& [key, sessions] : part) streams[key].add(sessions);
  return streams;
}

Result<StreamLoads> SessionDirectory::take_loads() {
  auto parts = ask_each(loops_, [this](Loop& loop) { return of(loop).take_loads(); }, patience_);
  if (!parts) return std::unexpected(parts.error());
  StreamLoads loads;
  for (const auto& part : *parts) {
    for (const auto& [key, load] : part) {
      StreamLoad& sum = loads[key];
      sum.traffic += load.traffic;
      sum.viewers += load.viewers;
      sum.publishers += load.publishers;
    }
  }
  return loads;
}

void SessionDirectory::drain() {
  for (std::size_t i = 0; i < loops_.size(); ++i)
    loops_[i].post([&sessions = *sessions_[i]] { sessions.drain(); });
}

}  // namespace weir
