#include "common/lmdb_check.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/bytes.h"

namespace weir {

namespace {

// The layout, as LMDB's mdb.c documents it (MDB_page, MDB_node, MDB_db, MDB_meta).
constexpr std::uint32_t kMagic = 0xbeefc0de;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPageHeader = 16;
constexpr std::size_t kNodeHeader = 8;
constexpr std::size_t kTreeSize = 48;
constexpr std::size_t kFreeTreeAt = 40;
constexpr std::size_t kMainTreeAt = kFreeTreeAt + kTreeSize;
constexpr std::size_t kLastPageAt = kMainTreeAt + kTreeSize;
constexpr std::size_t kTransactionAt = kLastPageAt + 8;
constexpr std::uint64_t kFirstPage = 2;  // after the two meta pages
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxKey = 511;
constexpr std::int64_t kMaxPageSize = 32 * 1024;
constexpr unsigned kBranch = 0x01;
constexpr unsigned kLeaf = 0x02;
constexpr unsigned kOverflow = 0x04;
constexpr unsigned kMeta = 0x08;
constexpr unsigned kDirty = 0x10;  // of no meaning on disk
constexpr unsigned kBigData = 0x01;
constexpr unsigned kSubTree = 0x02;
constexpr unsigned kIntegerKey = 0x08;
constexpr unsigned kNoSubFolder = 0x4000;  // an environment's flag, kept with the free list's

using Page = ByteBuffer;

template <class Word>
Word load(const std::uint8_t* p) {
  Word word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

struct Tree {
  unsigned flags;
  int depth;
  std::uint64_t root;
};

struct Node {
  std::size_t at;
  std::size_t size;
  unsigned flags;
  std::uint64_t child;  // of a branch
  std::size_t value_size;
  const std::uint8_t* value;
};

enum class Holds { FreePages, Trees, Values };

class LmdbCheck {
 public:
  LmdbCheck(int fd, std::uint64_t size)
      : fd_(fd),
        page_size_(static_cast<std::size_t>(std::min(::sysconf(_SC_PAGESIZE), kMaxPageSize))),
        pages_(size / page_size_),
        used_(pages_) {}

  Result<void> run() {
    std::array<Page, 2> metas;
    for (std::uint64_t number = 0; number < metas.size(); ++number) {
      auto page = read(number);
      if (!page) return std::unexpected(page.error());
      if (auto good = check_meta(*page); !good) return good;
      metas[number] = std::move(*page);
    }
    const auto transaction = [](const Page& meta) {
      return load<std::uint64_t>(meta.data() + kTransactionAt);
    };
    const Page& meta = metas[transaction(metas[0]) < transaction(metas[1]) ? 1 : 0];
    last_page_ = load<std::uint64_t>(meta.data() + kLastPageAt);
    // Pages at the end may be known and not yet written, but no more than one transaction's.
    if (last_page_ < kFirstPage - 1 || last_page_ >= kMaxPages)
      return broken("last page", last_page_);
    const Tree main = tree_at(meta.data() + kMainTreeAt);
    const Tree free = tree_at(meta.data() + kFreeTreeAt);
    if (main.flags != 0) return broken("flags of main tree", main.flags);
    if ((free.flags & ~kNoSubFolder) != kIntegerKey)
      return broken("flags of free tree", free.flags);
    if (auto good = check_tree(main, Holds::Trees); !good) return good;
    return check_tree(free, Holds::FreePages);
  }

 private:
  static constexpr std::uint64_t kMaxPages = std::uint64_t{1} << 36;

  static std::unexpected<Error> broken(std::string_view what, std::uint64_t value) {
    return fail(Errc::Protocol, fmt::format("{} {:#x}", what, value));
  }

  Result<Page> read(std::uint64_t number) const {
    if (number >= pages_) return broken("page beyond the file's end", number);
    Page page(page_size_);
    const auto got =
        ::pread(fd_, page.data(), page.size(), static_cast<off_t>(number * page_size_));
    if (got < 0) return fail(Errc::System, std::strerror(errno));
    if (static_cast<std::size_t>(got) != page.size()) return broken("page cut short", number);
    if (load<std::uint64_t>(page.data()) != number) return broken("wrong number on page", number);
    return page;
  }

  Result<void> check_meta(const Page& page) const {
    const std::uint8_t* p = page.data();
    if ((flags_of(page) & kMeta) == 0) return broken("meta page flags", flags_of(page));
    if (load<std::uint32_t>(p + 16) != kMagic) return broken("magic", load<std::uint32_t>(p + 16));
    if (load<std::uint32_t>(p + 20) != kVersion)
      return broken("version", load<std::uint32_t>(p + 20));
    if (load<std::uint32_t>(p + kFreeTreeAt) != page_size_)
      return broken("page size", load<std::uint32_t>(p + kFreeTreeAt));
    return {};
  }

  static unsigned flags_of(const Page& page) {
    return load<std::uint16_t>(page.data() + 10) & ~kDirty;
  }

  static Tree tree_at(const std::uint8_t* p) {
    return {.flags = load<std::uint16_t>(p + 4),
            .depth = load<std::uint16_t>(p + 6),
            .root = load<std::uint64_t>(p + 40)};
  }

  Result<void> claim(std::uint64_t first, std::uint64_t count) {
    if (first < kFirstPage || first > last_page_ || count > last_page_ - first + 1)
      return broken("page out of range", first);
    // Free pages at the end need not be in the file.
    for (auto page = first; page < std::min(first + count, pages_); ++page) {
      if (used_[page]) return broken("page used twice", page);
      used_[page] = true;
    }
    return {};
  }

  Result<void> check_tree(const Tree& tree, Holds holds) {
    if (tree.root == kNoPage) return {};
    if (tree.depth < 1 || tree.depth > kMaxDepth)
      return broken("depth", static_cast<std::uint64_t>(tree.depth));
    return check_page(tree.root, tree.depth, holds);
  }

  Result<void> check_page(std::uint64_t number, int depth, Holds holds) {
    auto claimed = claim(number, 1);
    if (!claimed) return claimed;
    auto page = read(number);
    if (!page) return std::unexpected(page.error());
    const bool leaf = depth == 1;
    if (flags_of(*page) != (leaf ? kLeaf : kBranch)) return broken("flags of page", number);
    auto nodes = nodes_of(*page, leaf);
    if (!nodes) return std::unexpected(nodes.error());
    // LMDB takes a branch of one for a bug, but not while the free list is being rebalanced.
    if (!leaf && holds != Holds::FreePages && nodes->size() < 2)
      return broken("lone branch", number);
    for (const Node& node : *nodes) {
      auto good = leaf ? check_leaf(node, holds) : check_page(node.child, depth - 1, holds);
      if (!good) return good;
    }
    return {};
  }

  // The nodes of a page, if they fill its upper part without gap or overlap.
  Result<std::vector<Node>> nodes_of(const Page& page, bool leaf) const {
    const std::uint64_t number = load<std::uint64_t>(page.data());
    const std::size_t lower = load<std::uint16_t>(page.data() + 12);
    const std::size_t upper = load<std::uint16_t>(page.data() + 14);
    if (lower <= kPageHeader || lower % 2 != 0 || lower > upper || upper > page_size_)
      return broken("bounds of page", number);
    std::vector<Node> nodes;
    for (std::size_t at = kPageHeader; at < lower; at += 2) {
      const std::size_t offset = load<std::uint16_t>(page.data() + at);
      if (offset < upper || offset % 2 != 0 || offset + kNodeHeader > page_size_)
        return broken("node outside of page", number);
      const std::uint8_t* p = page.data() + offset;
      const unsigned flags = load<std::uint16_t>(p + 4);
      const std::size_t key_size = load<std::uint16_t>(p + 6);
      if (key_size > kMaxKey) return broken("size of key in page", number);
      const std::uint64_t low = load<std::uint32_t>(p);
      Node node{.at = offset,
                .size = kNodeHeader + key_size,
                .flags = flags,
                .child = low | std::uint64_t{flags} << 32,
                .value_size = low,
                .value = p + kNodeHeader + key_size};
      if (leaf) node.size += (flags & kBigData) != 0 ? sizeof(std::uint64_t) : node.value_size;
      node.size += node.size % 2;
      if (node.size > page_size_ - offset) return broken("node beyond page", number);
      nodes.push_back(node);
    }
    std::vector<Node> placed = nodes;
    std::ranges::sort(placed, {}, &Node::at);
    std::size_t expected = upper;
    for (const Node& node : placed) {
      if (node.at != expected) return broken("gap or overlap in page", number);
      expected += node.size;
    }
    if (expected != page_size_) return broken("gap in page", number);
    return nodes;
  }

  Result<void> check_leaf(const Node& node, Holds holds) {
    if (holds == Holds::Trees) {
      if (node.flags != kSubTree || node.value_size != kTreeSize)
        return broken("named tree", node.flags);
      const Tree tree = tree_at(node.value);
      if (tree.flags != 0) return broken("tree flags", tree.flags);
      return check_tree(tree, Holds::Values);
    }
    if ((node.flags & ~kBigData) != 0) return broken("node flags", node.flags);
    const bool big = node.flags == kBigData;
    if (big) {
      auto good = check_overflow(load<std::uint64_t>(node.value), node.value_size);
      if (!good) return good;
    }
    if (holds != Holds::FreePages) return {};
    if (!big) return check_free_list(ByteView(node.value, node.value_size));
    auto list = read_overflow(load<std::uint64_t>(node.value), node.value_size);
    if (!list) return std::unexpected(list.error());
    return check_free_list(*list);
  }

  Result<void> check_overflow(std::uint64_t first, std::size_t size) {
    const std::uint64_t count = (kPageHeader + size + page_size_ - 1) / page_size_;
    auto claimed = claim(first, count);
    if (!claimed) return claimed;
    if (first + count > pages_) return broken("value beyond the file's end", first);
    std::array<std::uint8_t, kPageHeader> header;
    if (::pread(fd_, header.data(), header.size(), static_cast<off_t>(first * page_size_)) !=
        static_cast<ssize_t>(header.size()))
      return fail(Errc::System, "cannot read a value's page");
    const unsigned flags = load<std::uint16_t>(header.data() + 10) & ~kDirty;
    const bool sound = load<std::uint64_t>(header.data()) == first && flags == kOverflow &&
                       load<std::uint32_t>(header.data() + 12) == count;
    if (!sound) return broken("header of value page", first);
    return {};
  }

  Result<ByteBuffer> read_overflow(std::uint64_t first, std::size_t size) const {
    ByteBuffer bytes(size);
    const auto at = static_cast<off_t>(first * page_size_ + kPageHeader);
    if (::pread(fd_, bytes.data(), size, at) != static_cast<ssize_t>(size))
      return fail(Errc::System, "cannot read the free list");
    return bytes;
  }

  // A count, then that many page numbers, highest first.
  Result<void> check_free_list(ByteView list) {
    constexpr std::size_t kWord = sizeof(std::uint64_t);
    if (list.size() < kWord) return broken("size of free list", list.size());
    const auto count = load<std::uint64_t>(list.data());
    if (count > list.size() / kWord - 1) return broken("length of free list", count);
    std::uint64_t above = kNoPage;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const auto page = load<std::uint64_t>(list.data() + i * kWord);
      if (page >= above) return broken("order of free list", page);
      auto claimed = claim(page, 1);
      if (!claimed) return claimed;
      above = page;
    }
    return {};
  }

  const int fd_;
  const std::size_t page_size_;
  const std::uint64_t pages_;
  std::vector<bool> used_;
  std::uint64_t last_page_ = 0;
};

}  // namespace

Result<void> check_lmdb_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return {};
  if (fd < 0) return fail(Errc::System, std::strerror(errno));
  struct stat status{};
  Result<void> result;
  if (::fstat(fd, &status) != 0)
    result = fail(Errc::System, std::strerror(errno));
  else if (!S_ISREG(status.st_mode))
    result = fail(Errc::Protocol, "not a regular file");
  else if (status.st_size > 0)  // LMDB makes a new one out of an empty one
    result = LmdbCheck(fd, static_cast<std::uint64_t>(status.st_size)).run();
  ::close(fd);
  return result;
}

}  // namespace weir
