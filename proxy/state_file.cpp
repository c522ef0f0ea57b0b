#include "proxy/state_file.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir {
namespace {

constexpr mode_t kOwnersFolder = 0700;
constexpr mode_t kOwnerOnly = 0600;
constexpr std::size_t kHead = 16;  // the sum and the time
constexpr std::uint8_t kWritten = 'w';

std::string file_in(const std::string& folder) { return folder + "/state.mdb"; }

Error system_error(const std::string& path) {
  return {errno == ENOSPC ? Errc::Limit : Errc::System, path + ": " + std::strerror(errno)};
}

ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

ByteBuffer key_of(SavedKind kind, std::string_view name) {
  ByteBuffer key(9);
  key[0] = static_cast<std::uint8_t>(kind);
  store_be64(key.data() + 1, stable_hash(name));
  return key;
}

// Over the key, too: a value under another's key is damaged.
std::uint64_t sum_of(ByteView key, ByteView rest) {
  const std::string_view name(reinterpret_cast<const char*>(key.data()), key.size());
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
  return stable_hash(text, stable_hash(name));
}

struct Record {
  WallTime when;
  std::string value;
};

std::optional<Record> record_in(ByteView key, ByteView bytes) {
  if (bytes.size() < kHead) return std::nullopt;
  if (load_be64(bytes.data()) != sum_of(key, bytes.subspan(8))) return std::nullopt;
  const auto time = static_cast<std::int64_t>(load_be64(bytes.data() + 8));
  const auto value = bytes.subspan(kHead);
  return Record{WallTime{std::chrono::milliseconds{time}},
                std::string(reinterpret_cast<const char*>(value.data()), value.size())};
}

// False when the record is not what its key says.
bool take(SavedState& state, ByteView key, Record record) {
  if (key.size() == 1 && key[0] == kWritten) {
    state.written = record.when;
    return true;
  }
  switch (static_cast<SavedKind>(key[0])) {
    case SavedKind::Origin: {
      auto origin = decode_member(record.value);
      if (!origin) return false;
      state.origins.push_back({std::move(*origin), record.when});
      return true;
    }
    case SavedKind::Route: {
      auto route = decode_route(record.value);
      if (!route) return false;
      state.routes.push_back(std::move(*route));
      return true;
    }
    case SavedKind::Drained: {
      auto note = decode_note(record.value);
      if (!note) return false;
      state.drained.push_back(std::move(note->name));
      return true;
    }
  }
  return false;
}

}  // namespace

StateFile::~StateFile() {
  file_.reset();
  ::close(lock_);
}

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& folder, std::uint64_t size) {
  if (::mkdir(folder.c_str(), kOwnersFolder) != 0 && errno != EEXIST)
    return std::unexpected(system_error(folder));
  const std::string lock_path = folder + "/state.lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly);
  if (lock < 0) return std::unexpected(system_error(lock_path));
  std::unique_ptr<StateFile> file(new StateFile(lock));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::Busy, folder + ": another process uses it");
  const std::string path = file_in(folder);
  struct stat status{};
  const bool too_large =
      ::stat(path.c_str(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) > size;
  Result<void> opened = fail(Errc::Protocol, "larger than it may be");
  if (!too_large) opened = file->open_table(path, size);
  if (!opened) {
    file->file_.reset();
    discard(folder);
    opened = file->open_table(path, size);
  }
  if (!opened)
    return std::unexpected(Error{opened.error().code, path + ": " + opened.error().text});
  return file;
}

void StateFile::discard(const std::string& folder) { ::unlink(file_in(folder).c_str()); }

Result<void> StateFile::open_table(const std::string& path, std::uint64_t size) {
  auto file = LmdbFile::open(path, size);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  auto begun = file_->begin(LmdbFile::For::Writing);
  if (!begun) return begun;
  auto table = file_->table("state");
  if (!table) return std::unexpected(table.error());
  table_ = *table;
  return file_->commit();
}

Result<SavedState> StateFile::load() {
  auto begun = file_->begin(LmdbFile::For::Reading);
  if (!begun) return std::unexpected(begun.error());
  SavedState state;
  ByteBuffer from{0};  // no key is lower
  while (true) {
    auto entry = file_->first_from(table_, from);
    if (!entry || !*entry) {
      file_->abort();
      if (!entry) return std::unexpected(entry.error());
      return state;
    }
    const auto& [key, mapped] = **entry;
    ByteBuffer value(std::min(mapped.size, kHead + kMaxSharedValue));
    auto copied = file_->copy(value, mapped);
    if (!copied) {
      file_->abort();
      return std::unexpected(copied.error());
    }
    auto record = record_in(key, value);
    if (!record || !take(state, key, std::move(*record))) ++state.damaged;
    from = key;
    from.push_back(0);  // the next higher key
  }
}

Result<void> StateFile::put(ByteView key, std::string_view value, WallTime when) {
  ByteBuffer bytes(kHead);
  store_be64(bytes.data() + 8, static_cast<std::uint64_t>(when.time_since_epoch().count()));
  const ByteView text = bytes_of(value);
  bytes.insert(bytes.end(), text.begin(), text.end());
  store_be64(bytes.data(), sum_of(key, ByteView(bytes).subspan(8)));
  return file_->store(table_, key, bytes);
}

Result<void> StateFile::write(std::span<const SavedChange> changes, WallTime now) {
  auto done = file_->begin(LmdbFile::For::Writing);
  for (const SavedChange& change : changes) {
    if (!done) break;
    const ByteBuffer key = key_of(change.kind, change.name);
    done = change.value ? put(key, *change.value, change.when) : file_->remove(table_, key);
  }
  const ByteBuffer written{kWritten};
  if (done) done = put(written, "", now);
  if (done) return file_->commit();
  file_->abort();
  return done;
}

}  // namespace weir
