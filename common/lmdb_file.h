// common/lmdb_file.h
// LMDB as values and errors, for one thread in one process, over a disk that may be full, bad or
// gone.
//
// Flags: MDB_NOLOCK, for there is only this thread; no lock file, and no mutex in it for a killed
// process to leave behind. MDB_NOMETASYNC: a commit syncs data but not the root, so that losing
// power costs the last transactions and never the structure; killing the process costs nothing that
// was committed. Not MDB_WRITEMAP: stray writes would go to disk, and a full disk would be SIGBUS.
//
// Every call is guarded (bus_error.h), and a file is looked through (lmdb_check.h) before LMDB gets
// it. After a bus error LMDB's state is anything: the file is lost(), every call fails, and its
// memory and descriptors are never freed.
//
// Threading: one thread, which may wait for the disk. Bounds: `size` on disk; memory for the pages
// that one transaction writes.
#pragma once

#include <lmdb.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/bytes.h"
#include "common/error.h"

namespace weir {

class LmdbFile {
 public:
  using Table = MDB_dbi;
  // In the map: read it through copy() alone, before the next change.
  struct Mapped {
    const std::uint8_t* data;
    std::size_t size;
  };
  struct Entry {
    ByteBuffer key;
    Mapped value;
  };
  static constexpr unsigned kMaxTables = 4;

  // Errors of everything here: Limit when there is no room in the file or on the disk; Protocol for
  // a file that is not sound; else System. After an error: abort().
  static Result<std::unique_ptr<LmdbFile>> open(const std::string& path, std::uint64_t size);
  ~LmdbFile();
  LmdbFile(const LmdbFile&) = delete;
  LmdbFile& operator=(const LmdbFile&) = delete;

  enum class For { Reading, Writing };
  Result<void> begin(For purpose);
  Result<void> commit();
  void abort();
  bool in_transaction() const { return transaction_ != nullptr; }

  // The rest REQUIRES a transaction, and what changes something one for writing.

  // Made if it is not there. It may be used after the transaction is committed.
  Result<Table> table(const char* name);
  Result<std::optional<Mapped>> find(Table table, ByteView key);
  Result<void> copy(std::span<std::uint8_t> into, const Mapped& from, std::size_t skip = 0);
  // The first entry at or after `key`; the last of all.
  Result<std::optional<Entry>> first_from(Table table, ByteView key);
  Result<std::optional<Entry>> last(Table table);
  Result<void> store(Table table, ByteView key, ByteView value);
  // Room for a value whose key is higher than all others of its table, to be filled at once.
  Result<std::span<std::uint8_t>> append(Table table, ByteView key, std::size_t size);
  // Nothing to remove is no error.
  Result<void> remove(Table table, ByteView key);

  std::size_t page_size() const { return page_size_; }
  bool lost() const { return lost_; }

 private:
  LmdbFile() = default;
  template <class Work>
  Result<void> call(Work work);
  Result<std::optional<Entry>> seek(Table table, MDB_cursor_op where, ByteView key);

  MDB_env* env_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  std::size_t page_size_ = 0;
  bool lost_ = false;
};

}  // namespace weir
