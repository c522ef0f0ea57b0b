// common/session_directory.h
// The live sessions of the whole process, for threads that are no loops: Sessions of every loop,
// asked by messages.
//
// Threading: made and let go by main's thread while the loops run; everything else by any thread
// that is no loop's.
// Bounds: a question waits for `patience` at most, then it is Errc::Timeout; at most kMaxPage
// sessions are given at once.
#pragma once

#include <functional>
#include <memory>

#include "common/io/loop_group.h"
#include "common/sessions.h"

namespace weir {

class SessionDirectory {
 public:
  static constexpr std::size_t kMaxPage = 1000;

  struct Page {
    std::size_t total = 0;
    std::vector<SessionState> sessions;
  };

  // Called on each loop for its witness; may be null.
  using MakeWitness = std::function<std::unique_ptr<SessionWitness>()>;

  explicit SessionDirectory(LoopGroup& loops, milliseconds patience = milliseconds{1000},
                            MakeWitness make_witness = nullptr);
  ~SessionDirectory();

  std::size_t size() const;
  // Of one stream, or of all when `stream` is empty; loop by loop, oldest first.
  Result<Page> page(std::size_t start, std::size_t count, std::string stream = {});
  // NotFound.
  Result<SessionState> find(std::string id);
  Result<void> end(std::string id, Error why);
  Result<SessionsByStream> by_stream();
  // Of all loops together; see Sessions::take_loads().
  Result<StreamLoads> take_loads();

  // See Sessions::drain(). Does not wait.
  void drain();

 private:
  Sessions& of(const Loop& loop) { return *sessions_[static_cast<std::size_t>(loop.index())]; }

  LoopGroup& loops_;
  const milliseconds patience_;
  std::vector<std::unique_ptr<Sessions>> sessions_;
};

}  // namespace weir
