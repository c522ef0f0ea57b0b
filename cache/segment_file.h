// cache/segment_file.h
// Objects by key in one file of bounded size: what SegmentStore's thread works with.
//
//     index   hash of key ─► number, place, size
//     order   place ─► hash of key                 lowest first: who goes next
//     data    number, 0 ─► record with key and head;  number, 1.. ─► pieces of the body
//
// Bodies are cut into pieces that fill sixteen pages each: what freed ones leave fits new ones, and
// no value needs a longer run of free pages. Each piece is checked by its own sum when it is read.
// When room is needed the oldest goes, unless it was read since it got its place: then it gets a new
// place, once (CLOCK). So reading never writes.
//
// A file that is not sound, or larger than it may be, is removed and begun anew.
//
// Threading: one thread, which may wait for the disk. Bounds: `size` on disk, of which a quarter or
// less is kept free for transactions; max_object() for one object; 8 bytes of memory for each object
// that was read.
#pragma once

#include <unordered_set>

#include "cache/object_tier.h"
#include "common/lmdb_file.h"

namespace weir {

class SegmentFile {
 public:
  static constexpr std::size_t kMaxObject = 64 * 1024 * 1024;
  static constexpr std::uint64_t kLeastSize = 1024 * 1024;

  struct Usage {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  // of pages, about
  };
  enum class Outcome { Hit, Miss, Expired, Corrupt };
  struct Lookup {
    Outcome outcome = Outcome::Miss;
    TierObject object = {};
  };

  // The erasing of all keys that begin so, in steps. It spares what is put after its beginning.
  struct Sweep {
    std::string prefix;
    std::uint64_t next;
    std::uint64_t end;
  };
  Sweep sweep(std::string prefix) const { return {std::move(prefix), 0, next_number_}; }

  // Makes the folder if that alone is missing. Errors: Busy when another process has it, and those
  // of LmdbFile.
  static Result<std::unique_ptr<SegmentFile>> open(const std::string& folder, std::uint64_t size);
  // Forgets all that is in the folder. A file that is open has no name any more.
  static void discard(const std::string& folder);
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;
  SegmentFile& operator=(const SegmentFile&) = delete;

  // Errors of all below: Limit when there is no room, else the file must be given up. After an error
  // in a transaction: abort().

  // Sees what the transaction, if there is one, has changed.
  Result<Lookup> get(std::string_view key, TierObject::Time now);

  Result<void> begin();
  // The rest REQUIRES a transaction. What is too large only replaces.
  Result<void> put(std::string_view key, const TierObject& object, TierObject::Time now);
  Result<void> erase(std::string_view key);
  // Erases on, among `most` objects; whether that was all.
  Result<bool> go_on(Sweep& sweep, std::size_t most);
  // Lets the oldest go until at most so much is used.
  Result<void> evict_to(std::uint64_t bytes);
  Result<void> commit();
  void abort();

  const Usage& usage() const { return usage_; }
  // How many since the last call.
  std::uint64_t take_evicted() { return std::exchange(evicted_, 0); }
  std::uint64_t limit() const { return limit_; }
  // For a disk that has less room than was promised.
  void lower_limit(std::uint64_t bytes) { limit_ = bytes; }
  std::size_t max_object() const { return max_object_; }
  // Why the file that was there had to go; empty when it is in use, or there was none.
  const std::string& replaced() const { return replaced_; }
  bool lost() const { return file_ != nullptr && file_->lost(); }

 private:
  using Hash = std::uint64_t;
  struct Row {
    std::uint64_t number;
    std::uint64_t place;
    std::uint64_t size;
  };

  SegmentFile(int lock, std::uint64_t size);
  Result<void> load(const std::string& path, std::uint64_t size);
  Result<void> take_stock();

  Result<std::optional<Row>> row_of(Hash hash);
  Result<Row> read_row(Hash hash, const LmdbFile::Mapped& from);
  Result<Lookup> read(std::string_view key, const Row& row, TierObject::Time now);
  Result<bool> read_body(std::uint64_t number, std::span<std::uint8_t> into);
  Result<void> write_body(std::uint64_t number, const TierObject& object, std::size_t size);
  Result<void> file_under(Hash hash, const Row& row);
  Result<void> remove(Hash hash, const Row& row);
  Result<bool> evict_one();
  std::uint64_t cost_of(std::size_t value) const;

  const int lock_;
  std::string replaced_;
  std::unique_ptr<LmdbFile> file_;
  LmdbFile::Table index_ = 0;
  LmdbFile::Table order_ = 0;
  LmdbFile::Table data_ = 0;
  const std::size_t max_object_;
  std::uint64_t limit_;
  Usage usage_;
  Usage usage_before_;  // the transaction
  std::uint64_t evicted_ = 0;
  std::uint64_t next_number_ = 1;
  std::uint64_t next_place_ = 1;
  std::unordered_set<Hash> read_;
};

}  // namespace weir
