#include "common/redis/reply.h"

#include <hiredis/hiredis.h>
#include <spdlog/fmt/fmt.h>

#include <utility>

#include "common/check.h"

namespace weir::redis {
namespace {

// Null makes hiredis give up: it takes it for "out of memory". The root belongs to the reader until
// it is whole, everything else to its array.
Reply* place(const redisReadTask* task, Reply reply) {
  auto& items_left = *static_cast<std::size_t*>(task->privdata);
  if (items_left == 0) return nullptr;
  --items_left;
  if (task->parent == nullptr) return new Reply(std::move(reply));
  // Nobody points into this array's items when it grows: a nested array is whole before its next
  // sibling comes.
  auto& siblings = static_cast<Reply*>(task->parent->obj)->items;
  return &siblings.emplace_back(std::move(reply));
}

void* make_string(const redisReadTask* task, char* text, std::size_t length) {
  const auto kind = task->type == REDIS_REPLY_ERROR ? Reply::Kind::Error : Reply::Kind::String;
  return place(task, {.kind = kind, .text = {text, length}});
}

void* make_array(const redisReadTask* task, int) {
  return place(task, {.kind = Reply::Kind::Array});
}

void* make_integer(const redisReadTask* task, long long value) {
  return place(task, {.kind = Reply::Kind::Integer, .integer = value});
}

void* make_nil(const redisReadTask* task) { return place(task, {}); }

void free_root(void* root) { delete static_cast<Reply*>(root); }

redisReplyObjectFunctions builders{.createString = make_string,
                                   .createArray = make_array,
                                   .createInteger = make_integer,
                                   .createNil = make_nil,
                                   .freeObject = free_root};

}  // namespace

void append_command(std::string& out, const Command& command) {
  INVARIANT(!command.empty());
  std::vector<const char*> words;
  std::vector<std::size_t> lengths;
  for (const std::string& word : command) {
    words.push_back(word.data());
    lengths.push_back(word.size());
  }
  char* bytes = nullptr;
  const int length =
      redisFormatCommandArgv(&bytes, static_cast<int>(words.size()), words.data(), lengths.data());
  INVARIANT(length > 0);
  out.append(bytes, static_cast<std::size_t>(length));
  redisFreeCommand(bytes);
}

bool Reply::is_error(std::string_view word) const {
  if (kind != Kind::Error || !text.starts_with(word)) return false;
  return text.size() == word.size() || text[word.size()] == ' ';
}

void ReplyReader::Free::operator()(redisReader* reader) const { redisReaderFree(reader); }

ReplyReader::ReplyReader(ReplyLimits limits)
    : limits_(limits),
      items_left_(limits.items),
      reader_(redisReaderCreateWithFunctions(&builders)) {
  INVARIANT(reader_ != nullptr);
  reader_->privdata = &items_left_;
}

void ReplyReader::feed(ByteView bytes) {
  const auto text = as_text(bytes);
  arrived_ += text.size();
  redisReaderFeed(reader_.get(), text.data(), text.size());
}

Result<std::optional<Reply>> ReplyReader::next() {
  void* root = nullptr;
  if (redisReaderGetReply(reader_.get(), &root) != REDIS_OK) {
    if (reader_->err == REDIS_ERR_OOM)
      return fail(Errc::Limit, fmt::format("a reply of more than {} items", limits_.items));
    return fail(Errc::Protocol, "not a reply of Redis, or nested too deep");
  }
  const std::unique_ptr<Reply> reply(static_cast<Reply*>(root));
  const std::size_t behind = reply ? reader_->len - reader_->pos : 0;
  if (arrived_ - behind > limits_.bytes)
    return fail(Errc::Limit, fmt::format("a reply of more than {} bytes", limits_.bytes));
  if (!reply) return std::nullopt;
  arrived_ = behind;
  items_left_ = limits_.items;
  return std::move(*reply);
}

}  // namespace weir::redis
