#include "common/lmdb_file.h"

#include <cerrno>
#include <mutex>
#include <vector>

#include "common/bus_error.h"
#include "common/check.h"
#include "common/lmdb_check.h"

namespace weir {

namespace {

constexpr mdb_mode_t kOwnerOnly = 0600;

MDB_val value_of(ByteView bytes) {
  return {.mv_size = bytes.size(), .mv_data = const_cast<std::uint8_t*>(bytes.data())};
}

ByteView view_of(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

// EIO comes from writing, for reading is done by the map: LMDB's word for a short write, the first
// sign of a full disk.
Error error_of(int status) {
  switch (status) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO: return {Errc::Limit, mdb_strerror(status)};
    case MDB_NOTFOUND: return {Errc::NotFound, mdb_strerror(status)};
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND: return {Errc::Protocol, mdb_strerror(status)};
    default: return {Errc::System, mdb_strerror(status)};
  }
}

// What a bus error has left in any state is not freed, but stays reachable for leak checkers.
void keep_for_ever(MDB_env* env, MDB_txn* transaction) {
  static std::mutex mutex;
  static auto& kept = *new std::vector<std::pair<MDB_env*, MDB_txn*>>;
  const std::lock_guard lock(mutex);
  kept.emplace_back(env, transaction);
}

}  // namespace

// `work` holds plain values only: a bus error leaves it without destructors.
template <class Work>
Result<void> LmdbFile::call(Work work) {
  if (lost_) return fail(Errc::System, "given up");
  int status = 0;
  if (!survives_bus_error([&] { status = work(); })) {
    lost_ = true;
    return fail(Errc::System, "the file cannot be read any more");
  }
  if (status != 0) return std::unexpected(error_of(status));
  return {};
}

Result<std::unique_ptr<LmdbFile>> LmdbFile::open(const std::string& path, std::uint64_t size) {
  auto sound = check_lmdb_file(path);
  if (!sound) return std::unexpected(sound.error());
  std::unique_ptr<LmdbFile> file(new LmdbFile);
  auto opened = file->call([&] {
    int status = mdb_env_create(&file->env_);
    if (status != 0) return status;
    mdb_env_set_assert(file->env_, [](MDB_env*, const char*) { leave_guarded_work(); });
    status = mdb_env_set_mapsize(file->env_, size);
    if (status == 0) status = mdb_env_set_maxdbs(file->env_, kMaxTables);
    constexpr unsigned kFlags = MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOMETASYNC;
    if (status == 0) status = mdb_env_open(file->env_, path.c_str(), kFlags, kOwnerOnly);
    return status;
  });
  if (!opened) return std::unexpected(opened.error());
  MDB_stat stat{};
  auto known = file->call([&] { return mdb_env_stat(file->env_, &stat); });
  if (!known) return std::unexpected(known.error());
  file->page_size_ = stat.ms_psize;
  return file;
}

LmdbFile::~LmdbFile() {
  abort();
  if (lost_)
    keep_for_ever(env_, transaction_);
  else if (env_ != nullptr)
    mdb_env_close(env_);
}

Result<void> LmdbFile::begin(For purpose) {
  INVARIANT(lost_ || transaction_ == nullptr);
  const unsigned flags = purpose == For::Reading ? MDB_RDONLY : 0U;
  return call([&] { return mdb_txn_begin(env_, nullptr, flags, &transaction_); });
}

Result<void> LmdbFile::commit() {
  // Committed or not, the transaction is no more.
  auto committed = call([&] { return mdb_txn_commit(transaction_); });
  if (!lost_) transaction_ = nullptr;
  return committed;
}

void LmdbFile::abort() {
  if (transaction_ == nullptr || lost_) return;
  auto aborted = call([&] {
    mdb_txn_abort(transaction_);
    return 0;
  });
  if (aborted) transaction_ = nullptr;
}

Result<LmdbFile::Table> LmdbFile::table(const char* name) {
  Table table = 0;
  auto opened = call([&] { return mdb_dbi_open(transaction_, name, MDB_CREATE, &table); });
  if (!opened) return std::unexpected(opened.error());
  return table;
}

Result<std::optional<LmdbFile::Mapped>> LmdbFile::find(Table table, ByteView key) {
  MDB_val wanted = value_of(key);
  MDB_val found{};
  auto got = call([&] { return mdb_get(transaction_, table, &wanted, &found); });
  if (got) return Mapped{view_of(found).data(), found.mv_size};
  if (got.error().code == Errc::NotFound) return std::nullopt;
  return std::unexpected(got.error());
}

Result<void> LmdbFile::copy(std::span<std::uint8_t> into, const Mapped& from, std::size_t skip) {
  INVARIANT(skip <= from.size && into.size() <= from.size - skip, into.size(), from.size, skip);
  return call([&] {
    std::memcpy(into.data(), from.data + skip, into.size());
    return 0;
  });
}

Result<std::optional<LmdbFile::Entry>> LmdbFile::seek(Table table, MDB_cursor_op where,
                                                      ByteView key) {
  MDB_val at = value_of(key);
  MDB_val value{};
  auto got = call([&] {
    MDB_cursor* cursor = nullptr;
    int status = mdb_cursor_open(transaction_, table, &cursor);
    if (status != 0) return status;
    status = mdb_cursor_get(cursor, &at, &value, where);
    mdb_cursor_close(cursor);
    return status;
  });
  if (!got && got.error().code == Errc::NotFound) return std::nullopt;
  if (!got) return std::unexpected(got.error());
  Entry entry{.key = ByteBuffer(at.mv_size), .value = {view_of(value).data(), value.mv_size}};
  auto copied = copy(entry.key, {view_of(at).data(), at.mv_size});
  if (!copied) return std::unexpected(copied.error());
  return entry;
}

Result<std::optional<LmdbFile::Entry>> LmdbFile::first_from(Table table, ByteView key) {
  return seek(table, MDB_SET_RANGE, key);
}

Result<std::optional<LmdbFile::Entry>> LmdbFile::last(Table table) {
  return seek(table, MDB_LAST, {});
}

Result<void> LmdbFile::store(Table table, ByteView key, ByteView value) {
  MDB_val at = value_of(key);
  MDB_val stored = value_of(value);
  return call([&] { return mdb_put(transaction_, table, &at, &stored, 0); });
}

Result<std::span<std::uint8_t>> LmdbFile::append(Table table, ByteView key, std::size_t size) {
  MDB_val at = value_of(key);
  MDB_val room{.mv_size = size, .mv_data = nullptr};
  auto put =
      call([&] { return mdb_put(transaction_, table, &at, &room, MDB_RESERVE | MDB_APPEND); });
  if (!put) return std::unexpected(put.error());
  return std::span(static_cast<std::uint8_t*>(room.mv_data), size);
}

Result<void> LmdbFile::remove(Table table, ByteView key) {
  MDB_val at = value_of(key);
  auto removed = call([&] { return mdb_del(transaction_, table, &at, nullptr); });
  if (!removed && removed.error().code != Errc::NotFound) return removed;
  return {};
}

}  // namespace weir
