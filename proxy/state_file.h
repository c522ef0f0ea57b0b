// proxy/state_file.h
// What one proxy remembers between two runs, as an LMDB file keeps it: routes, registered origins,
// and who is drained.
//
//     kind, hash of name ─► sum, time, value as shared_codec.h writes it
//     'w'                ─► sum, time of the last transaction
//
// Every record has its sum and is decoded as strictly as what comes over the network: one that is
// damaged is left out, and counts. A file that is not sound as a whole is removed and begun anew
// (lmdb_check.h says why before LMDB sees it). Times are the wall clock's, since the other one begins
// anew with the machine.
//
// Threading: one thread at a time, which may wait for the disk. Bounds: `size` on disk; what was read
// is as large as the file.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/lmdb_file.h"
#include "proxy/shared_codec.h"

namespace weir {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

inline WallTime wall_now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

enum class SavedKind : std::uint8_t { Origin = 'o', Route = 'r', Drained = 'd' };

struct SavedChange {
  SavedKind kind = SavedKind::Route;
  std::string name;
  std::optional<std::string> value;  // encoded; none: it is gone
  WallTime when{};
};

struct SavedState {
  struct Origin {
    Registration registration;
    WallTime heard{};
  };
  std::vector<Origin> origins{};
  std::vector<SharedRoute> routes{};
  std::vector<std::string> drained{};
  WallTime written{};       // the last transaction
  std::size_t damaged = 0;  // records left out
};

class StateFile {
 public:
  static constexpr std::uint64_t kSize = 256 * 1024 * 1024;

  // Makes the folder if that alone is missing. Errors: Busy when another process has it, and those
  // of LmdbFile.
  static Result<std::unique_ptr<StateFile>> open(const std::string& folder,
                                                 std::uint64_t size = kSize);
  // Forgets all that is in the folder. A file that is open has no name any more.
  static void discard(const std::string& folder);
  ~StateFile();
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

  // Errors: those of LmdbFile.
  Result<SavedState> load();
  // All of it or nothing. Errors: those of LmdbFile, Limit when there is no room.
  Result<void> write(std::span<const SavedChange> changes, WallTime now);

 private:
  explicit StateFile(int lock) : lock_(lock) {}
  Result<void> open_table(const std::string& path, std::uint64_t size);
  Result<void> put(ByteView key, std::string_view value, WallTime when);

  const int lock_;
  std::unique_ptr<LmdbFile> file_;
  LmdbFile::Table table_ = 0;
};

}  // namespace weir
