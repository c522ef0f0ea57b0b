#include "cache/segment_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cache/checksum.h"
#include "cache/segment_record.h"
#include "common/check.h"

namespace weir {

namespace {

constexpr std::size_t kSum = 8;
// With LMDB's page header and the sum, sixteen pages.
constexpr std::size_t kPageHeader = 16;
constexpr std::size_t kPiece = 16 * 4096 - kPageHeader - kSum;
constexpr std::size_t kRowSize = 32;
constexpr std::uint64_t kRowCost = 128;  // of index and order together, half filled pages
constexpr std::uint64_t kOnePiece = 1;   // pieces of a body are counted from here
constexpr std::uint64_t kShareOfObject = 16;
constexpr std::uint64_t kOverhead = 16;  // a share of the size: tree pages, gaps
constexpr mode_t kOwnerOnly = 0600;
constexpr mode_t kOwnersFolder = 0700;

using Key8 = std::array<std::uint8_t, 8>;
using Key12 = std::array<std::uint8_t, 12>;

Key8 key_of(std::uint64_t number) {
  Key8 key;
  store_be64(key.data(), number);
  return key;
}

Key12 data_key(std::uint64_t number, std::uint64_t part) {
  Key12 key;
  store_be32(store_be64(key.data(), number), static_cast<std::uint32_t>(part));
  return key;
}

// A piece in the place of another must not pass for it.
std::uint64_t seed_of(std::uint64_t number, std::uint64_t part) { return number << 20 ^ part; }

std::uint64_t hash_of(std::string_view key) { return checksum64(as_bytes(key), 0); }

std::string file_in(const std::string& folder) { return folder + "/segments.mdb"; }

Error system_error(const std::string& path) {
  return {Errc::System, path + ": " + std::strerror(errno)};
}

std::unexpected<Error> unsound(const char* what) { return fail(Errc::Protocol, what); }

}  // namespace

SegmentFile::SegmentFile(int lock, std::uint64_t size)
    : lock_(lock),
      max_object_(
          static_cast<std::size_t>(std::min<std::uint64_t>(kMaxObject, size / kShareOfObject))),
      // A page that is freed can be used again two transactions later.
      limit_(size - size / kOverhead - 3 * max_object_) {}

SegmentFile::~SegmentFile() {
  file_.reset();
  ::close(lock_);
}

Result<std::unique_ptr<SegmentFile>> SegmentFile::open(const std::string& folder,
                                                       std::uint64_t size) {
  INVARIANT(size >= kLeastSize, size);
  if (::mkdir(folder.c_str(), kOwnersFolder) != 0 && errno != EEXIST)
    return std::unexpected(system_error(folder));
  const std::string lock_path = folder + "/segments.lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly);
  if (lock < 0) return std::unexpected(system_error(lock_path));
  std::unique_ptr<SegmentFile> file(new SegmentFile(lock, size));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::Busy, folder + ": another process uses it");
  const std::string path = file_in(folder);
  struct stat status{};
  const bool too_large =
      ::stat(path.c_str(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) > size;
  auto loaded = too_large ? unsound("larger than it may be") : file->load(path, size);
  if (!loaded) {
    file->file_.reset();
    file->replaced_ = loaded.error().text;
    discard(folder);
    loaded = file->load(path, size);
  }
  if (!loaded)
    return std::unexpected(Error{loaded.error().code, path + ": " + loaded.error().text});
  return file;
}

void SegmentFile::discard(const std::string& folder) { ::unlink(file_in(folder).c_str()); }

Result<void> SegmentFile::load(const std::string& path, std::uint64_t size) {
  auto file =
      LmdbFile::open(path, size - size % static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  auto begun = begin();
  if (!begun) return begun;
  for (auto [name, table] : {std::pair{"index", &index_}, {"order", &order_}, {"data", &data_}}) {
    auto opened = file_->table(name);
    if (!opened) return std::unexpected(opened.error());
    *table = *opened;
  }
  auto counted = take_stock();
  if (!counted) return counted;
  return commit();
}

// What is there, and the numbers that come next.
Result<void> SegmentFile::take_stock() {
  usage_ = {};
  ByteBuffer from{0};  // no key is lower
  while (true) {
    auto entry = file_->first_from(index_, from);
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) break;
    ByteBuffer key = std::move((*entry)->key);
    if (key.size() != sizeof(Hash)) return unsound("key of index");
    auto row = read_row(load_be64(key.data()), (*entry)->value);
    if (!row) return std::unexpected(row.error());
    ++usage_.entries;
    usage_.bytes += row->size;
    from = std::move(key);
    from.push_back(0);  // the next higher key
  }
  auto last_order = file_->last(order_);
  if (!last_order) return std::unexpected(last_order.error());
  auto last_data = file_->last(data_);
  if (!last_data) return std::unexpected(last_data.error());
  for (auto [entry, next] : {std::pair{&*last_order, &next_place_}, {&*last_data, &next_number_}}) {
    if (!entry->has_value()) continue;
    if ((*entry)->key.size() < sizeof(std::uint64_t)) return unsound("short key");
    *next = load_be64((*entry)->key.data()) + 1;
  }
  return {};
}

Result<void> SegmentFile::begin() {
  usage_before_ = usage_;
  return file_->begin(LmdbFile::For::Writing);
}

Result<void> SegmentFile::commit() {
  auto committed = file_->commit();
  if (!committed) usage_ = usage_before_;
  return committed;
}

void SegmentFile::abort() {
  if (file_->in_transaction()) usage_ = usage_before_;
  file_->abort();
}

Result<SegmentFile::Row> SegmentFile::read_row(Hash hash, const LmdbFile::Mapped& from) {
  std::array<std::uint8_t, kRowSize> bytes;
  if (from.size != bytes.size()) return unsound("row of index");
  auto copied = file_->copy(bytes, from);
  if (!copied) return std::unexpected(copied.error());
  const ByteView summed = ByteView(bytes).first(kRowSize - kSum);
  if (load_be64(bytes.data() + summed.size()) != checksum64(summed, hash))
    return unsound("sum of index row");
  return Row{.number = load_be64(bytes.data()),
             .place = load_be64(bytes.data() + 8),
             .size = load_be64(bytes.data() + 16)};
}

Result<std::optional<SegmentFile::Row>> SegmentFile::row_of(Hash hash) {
  auto found = file_->find(index_, key_of(hash));
  if (!found) return std::unexpected(found.error());
  if (!*found) return std::nullopt;
  auto row = read_row(hash, **found);
  if (!row) return std::unexpected(row.error());
  return *row;
}

Result<void> SegmentFile::file_under(Hash hash, const Row& row) {
  std::array<std::uint8_t, kRowSize> bytes;
  std::uint8_t* p = store_be64(bytes.data(), row.number);
  p = store_be64(p, row.place);
  p = store_be64(p, row.size);
  store_be64(p, checksum64(ByteView(bytes).first(kRowSize - kSum), hash));
  auto stored = file_->store(index_, key_of(hash), bytes);
  if (!stored) return stored;
  return file_->store(order_, key_of(row.place), key_of(hash));
}

Result<SegmentFile::Lookup> SegmentFile::get(std::string_view key, TierObject::Time now) {
  const bool alone = !file_->in_transaction();
  if (alone) {
    auto begun = file_->begin(LmdbFile::For::Reading);
    if (!begun) return std::unexpected(begun.error());
  }
  const Hash hash = hash_of(key);
  Result<Lookup> result;
  auto row = row_of(hash);
  if (!row)
    result = std::unexpected(row.error());
  else if (*row)
    result = read(key, **row, now);
  if (alone) file_->abort();
  if (result && result->outcome == Outcome::Hit) read_.insert(hash);
  return result;
}

Result<SegmentFile::Lookup> SegmentFile::read(std::string_view key, const Row& row,
                                              TierObject::Time now) {
  auto found = file_->find(data_, data_key(row.number, 0));
  if (!found) return std::unexpected(found.error());
  if (!*found) return Lookup{Outcome::Corrupt};
  ByteBuffer bytes((*found)->size);
  auto copied = file_->copy(bytes, **found);
  if (!copied) return std::unexpected(copied.error());
  const auto record = decode_segment_record(bytes, row.number);
  if (!record || record->body_size > kMaxObject) return Lookup{Outcome::Corrupt};
  if (record->key != key) return Lookup{Outcome::Miss};  // another key of the same hash
  if (record->expires <= now) return Lookup{Outcome::Expired};
  Lookup lookup{Outcome::Hit,
                {.head = std::string(record->head),
                 .body = {},
                 .stored = record->stored,
                 .expires = record->expires}};
  const auto size = static_cast<std::size_t>(record->body_size);
  if (size == 0) return lookup;
  auto body = std::make_shared_for_overwrite<std::uint8_t[]>(size);
  auto whole = read_body(row.number, {body.get(), size});
  if (!whole) return std::unexpected(whole.error());
  if (!*whole) return Lookup{Outcome::Corrupt};
  lookup.object.body.push_back({ByteView(body.get(), size), body});
  return lookup;
}

Result<bool> SegmentFile::read_body(std::uint64_t number, std::span<std::uint8_t> into) {
  for (std::uint64_t part = kOnePiece; !into.empty(); ++part) {
    const auto piece = into.first(std::min(into.size(), kPiece));
    auto found = file_->find(data_, data_key(number, part));
    if (!found) return std::unexpected(found.error());
    if (!*found || (*found)->size != kSum + piece.size()) return false;
    Key8 sum;
    auto copied = file_->copy(sum, **found);
    if (copied) copied = file_->copy(piece, **found, kSum);
    if (!copied) return std::unexpected(copied.error());
    if (load_be64(sum.data()) != checksum64(piece, seed_of(number, part))) return false;
    into = into.subspan(piece.size());
  }
  return true;
}

std::uint64_t SegmentFile::cost_of(std::size_t value) const {
  const std::size_t page = file_->page_size();
  // A larger value stands on pages of its own; leaves are half full at worst.
  if (value <= page / 2) return 2 * value + kRowCost;
  return (kPageHeader + value + page - 1) / page * page + kRowCost;
}

Result<void> SegmentFile::put(std::string_view key, const TierObject& object,
                              TierObject::Time now) {
  auto erased = erase(key);
  if (!erased) return erased;
  const std::size_t body = object.body_size();
  const std::size_t head = kSegmentRecordOverhead + key.size() + object.head.size();
  if (body > max_object_ || head > max_object_ - body) return {};
  Row row{.number = next_number_++, .place = next_place_++, .size = kRowCost + cost_of(head)};
  row.size += body / kPiece * cost_of(kSum + kPiece);
  if (body % kPiece > 0) row.size += cost_of(kSum + body % kPiece);
  auto evicted = evict_to(limit_ - std::min(limit_, row.size));
  if (!evicted) return evicted;

  using std::chrono::floor;
  using std::chrono::milliseconds;
  const ByteBuffer record = encode({.key = key,
                                    .head = object.head,
                                    .body_size = body,
                                    .stored = floor<milliseconds>(now),
                                    .expires = floor<milliseconds>(object.expires)},
                                   row.number);
  auto room = file_->append(data_, data_key(row.number, 0), record.size());
  if (!room) return std::unexpected(room.error());
  std::ranges::copy(record, room->begin());
  auto written = write_body(row.number, object, body);
  if (!written) return written;
  usage_.bytes += row.size;
  ++usage_.entries;
  return file_under(hash_of(key), row);
}

Result<void> SegmentFile::write_body(std::uint64_t number, const TierObject& object,
                                     std::size_t size) {
  auto source = object.body.begin();
  std::size_t taken = 0;  // of *source
  for (std::uint64_t part = kOnePiece; size > 0; ++part) {
    const std::size_t length = std::min(size, kPiece);
    auto room = file_->append(data_, data_key(number, part), kSum + length);
    if (!room) return std::unexpected(room.error());
    const auto piece = room->subspan(kSum);
    for (std::size_t filled = 0; filled < length;) {
      const ByteView rest = source->bytes.subspan(taken);
      const std::size_t count = std::min(rest.size(), length - filled);
      std::ranges::copy(rest.first(count), piece.begin() + static_cast<std::ptrdiff_t>(filled));
      filled += count;
      taken += count;
      if (taken < source->bytes.size()) continue;
      ++source;
      taken = 0;
    }
    store_be64(room->data(), checksum64(piece, seed_of(number, part)));
    size -= length;
  }
  return {};
}

Result<void> SegmentFile::erase(std::string_view key) {
  const Hash hash = hash_of(key);
  auto row = row_of(hash);
  if (!row) return std::unexpected(row.error());
  if (!*row) return {};
  read_.erase(hash);
  return remove(hash, **row);
}

Result<bool> SegmentFile::go_on(Sweep& sweep, std::size_t most) {
  while (most-- > 0) {
    auto entry = file_->first_from(data_, data_key(sweep.next, 0));
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return true;
    if ((*entry)->key.size() != Key12().size()) return unsound("key of data");
    const std::uint64_t number = load_be64((*entry)->key.data());
    if (number >= sweep.end) return true;
    sweep.next = number + 1;
    ByteBuffer bytes((*entry)->value.size);
    auto copied = file_->copy(bytes, (*entry)->value);
    if (!copied) return std::unexpected(copied.error());
    const auto record = decode_segment_record(bytes, number);
    if (!record || !record->key.starts_with(sweep.prefix)) continue;
    auto erased = erase(record->key);
    if (!erased) return std::unexpected(erased.error());
  }
  return false;
}

Result<void> SegmentFile::remove(Hash hash, const Row& row) {
  auto removed = file_->remove(index_, key_of(hash));
  if (removed) removed = file_->remove(order_, key_of(row.place));
  while (removed) {
    auto part = file_->first_from(data_, data_key(row.number, 0));
    if (!part) return std::unexpected(part.error());
    if (!*part || (*part)->key.size() != Key12().size()) break;
    if (load_be64((*part)->key.data()) != row.number) break;
    removed = file_->remove(data_, (*part)->key);
  }
  usage_.bytes -= std::min(usage_.bytes, row.size);
  usage_.entries -= std::min<std::uint64_t>(usage_.entries, 1);
  return removed;
}

Result<void> SegmentFile::evict_to(std::uint64_t bytes) {
  while (usage_.bytes > bytes) {
    auto more = evict_one();
    if (!more) return std::unexpected(more.error());
    if (!*more) break;
  }
  return {};
}

// Or gives the oldest a new place. False: there is none.
Result<bool> SegmentFile::evict_one() {
  auto oldest = file_->first_from(order_, key_of(0));
  if (!oldest) return std::unexpected(oldest.error());
  if (!*oldest) return false;
  Key8 bytes;
  const ByteBuffer& place = (*oldest)->key;
  if ((*oldest)->value.size != bytes.size() || place.size() != bytes.size())
    return unsound("entry of order");
  auto copied = file_->copy(bytes, (*oldest)->value);
  if (!copied) return std::unexpected(copied.error());
  const Hash hash = load_be64(bytes.data());
  auto row = row_of(hash);
  if (!row) return std::unexpected(row.error());
  if (!*row || (*row)->place != load_be64(place.data())) return unsound("order without index");
  Result<void> done;
  if (read_.erase(hash) > 0) {
    done = file_->remove(order_, place);
    (*row)->place = next_place_++;
    if (done) done = file_under(hash, **row);
  } else {
    done = remove(hash, **row);
    ++evicted_;
  }
  if (!done) return std::unexpected(done.error());
  return true;
}

}  // namespace weir
