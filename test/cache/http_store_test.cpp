#include "cache/http_store.h"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace weir;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMemory = 1024 * 1024;
const Clock::time_point kNow = Clock::time_point() + 1h;
const http::Headers kNobody;

HttpObjectRef object_of(HttpStore& store, std::size_t size, const http::Headers& headers = {},
                        const http::Headers& request = {}) {
  auto body = std::make_shared<HttpBody>(store.memory(), size);
  body->append(as_bytes(std::string(size, 'x')));
  body->finish();
  return std::make_shared<HttpObject>(
      HttpObject::Parts{.response = {.status = 200, .headers = headers},
                        .vary = vary_values(headers, request),
                        .kind = HttpKind::Other,
                        .freshness = {.lifetime = 10s},
                        .received = kNow,
                        .body = std::move(body)},
      store.memory());
}

// As a fetch would.
HttpObjectRef fill(HttpStore& store, const std::string& key, std::size_t size,
                   const http::Headers& headers = {}, const http::Headers& request = {}) {
  auto joined = store.join(key, request, kNow);
  REQUIRE(joined);
  REQUIRE(joined->mine);
  auto object = object_of(store, size, headers, request);
  store.put(*joined->fill, object);
  store.end(joined->fill);
  return object;
}

bool has(HttpStore& store, const std::string& key) {
  return store.find(key, kNobody).object != nullptr;
}

}  // namespace

TEST_CASE("what was put is found, until it is dropped or purged", "[http_store]") {
  HttpStore store(kMemory);
  CHECK_FALSE(has(store, "h/a"));
  const auto object = fill(store, "h/a", 100);
  CHECK(store.find("h/a", kNobody).object == object);
  CHECK(store.objects() == 1);
  store.drop("h/a", object);
  store.drop("h/a", object);
  CHECK_FALSE(has(store, "h/a"));
  CHECK(store.objects() == 0);
  fill(store, "h/a", 100);
  CHECK(store.purge("h/a"));
  CHECK_FALSE(store.purge("h/a"));
  CHECK(store.objects() == 0);
}

TEST_CASE("one fill at a time for one key, which is the first asker's", "[http_store]") {
  HttpStore store(kMemory);
  const auto first = store.join("h/a", kNobody, kNow);
  const auto second = store.join("h/a", kNobody, kNow);
  const auto other = store.join("h/b", kNobody, kNow);
  CHECK(first->mine);
  CHECK_FALSE(second->mine);
  CHECK(second->fill == first->fill);
  CHECK(other->mine);
  CHECK(store.fills() == 2);
  store.end(first->fill);
  store.end(first->fill);
  CHECK(store.fills() == 1);
  CHECK(store.join("h/a", kNobody, kNow)->mine);
}

TEST_CASE("what is known to be private is asked for by everybody, for a while", "[http_store]") {
  HttpStore store(kMemory);
  store.note_private("h/a", kNow + 2s);
  CHECK_FALSE(store.join("h/a", kNobody, kNow + 1999ms));
  CHECK(store.join("h/a", kNobody, kNow + 2s)->mine);
  store.note_private("h/b", kNow + 2s);
  // Somebody's response was for all after all.
  const HttpFill alone("h/b", {});
  store.put(alone, object_of(store, 1));
  CHECK(store.join("h/b", kNobody, kNow)->mine);
}

TEST_CASE("the memory of private keys is bounded", "[http_store]") {
  HttpStore store(kMemory);
  for (std::size_t i = 0; i < HttpStore::kShards * HttpStore::kMaxPrivate * 2; ++i)
    store.note_private("h/" + std::to_string(i), kNow + 1h);
  std::size_t known = 0;
  for (std::size_t i = 0; i < HttpStore::kShards * HttpStore::kMaxPrivate * 2; ++i)
    known += store.join("h/" + std::to_string(i), kNobody, kNow) ? 0 : 1;
  CHECK(known <= HttpStore::kShards * HttpStore::kMaxPrivate);
}

TEST_CASE("variants live beside each other and replace their own kind", "[http_store]") {
  HttpStore store(kMemory);
  const http::Headers varies{{"Vary", "Accept-Encoding, X"}};
  const http::Headers gzip{{"Accept-Encoding", "gzip"}};
  const http::Headers plain{{"Accept-Encoding", "identity"}};
  const auto zipped = fill(store, "h/a", 10, varies, gzip);
  CHECK(store.find("h/a", gzip).object == zipped);
  CHECK(store.find("h/a", plain).object == nullptr);
  CHECK(store.find("h/a", plain).other);
  const auto unzipped = fill(store, "h/a", 10, varies, plain);
  CHECK(store.find("h/a", gzip).object == zipped);
  CHECK(store.find("h/a", plain).object == unzipped);
  const auto newer = fill(store, "h/a", 10, varies, gzip);
  CHECK(store.find("h/a", gzip).object == newer);
  CHECK(store.objects() == 2);
  // From now on it does not vary.
  const auto same_for_all = fill(store, "h/a", 10, {}, gzip);
  CHECK(store.find("h/a", plain).object == same_for_all);
  CHECK(store.objects() == 1);
}

TEST_CASE("who selects another variant does not wait for this one", "[http_store]") {
  HttpStore store(kMemory);
  const http::Headers gzip{{"Accept-Encoding", "gzip"}};
  fill(store, "h/a", 10, {{"Vary", "accept-encoding"}}, gzip);
  const auto first = store.join("h/a", gzip, kNow);
  CHECK(first->mine);
  CHECK_FALSE(store.join("h/a", gzip, kNow)->mine);
  CHECK(store.join("h/a", kNobody, kNow)->mine);
}

TEST_CASE("one key has only so many variants", "[http_store]") {
  HttpStore store(kMemory);
  for (std::size_t i = 0; i <= HttpStore::kMaxVariants; ++i)
    fill(store, "h/a", 1, {{"Vary", "X"}}, {{"X", std::to_string(i)}});
  CHECK(store.objects() == HttpStore::kMaxVariants);
  CHECK(store.find("h/a", {{"X", "0"}}).object == nullptr);
}

TEST_CASE("a purge outdates what is still being fetched", "[http_store]") {
  HttpStore store(kMemory);
  const auto before = store.join("h/live/a", kNobody, kNow);
  CHECK(store.purge_prefix("h/live/") == 0);
  store.put(*before->fill, object_of(store, 1));
  CHECK_FALSE(has(store, "h/live/a"));
  CHECK(store.join("h/live/a", kNobody, kNow)->mine);
  fill(store, "h/live/b", 1);
  fill(store, "h/vod/b", 1);
  CHECK(store.purge_prefix("h/live/") == 1);
  CHECK(has(store, "h/vod/b"));
}

TEST_CASE("memory is counted to the last byte and never exceeded", "[http_store]") {
  HttpStore store(kMemory);
  for (int i = 0; i < 200; ++i) {
    CHECK(store.make_room(20'000));
    fill(store, "h/" + std::to_string(i), 20'000);
    CHECK(store.memory()->bytes() <= kMemory + 2'000);
  }
  CHECK(store.evictions() > 100);
  CHECK(store.purge_prefix("h/") == store.objects() + 0);
  CHECK(store.purge_prefix("") == 0);
  CHECK(store.memory()->bytes() == 0);
}

TEST_CASE("what is asked for again survives a walk through an archive", "[http_store]") {
  HttpStore store(kMemory);
  const auto ask = [&](const std::string& key) {
    if (has(store, key)) return true;
    store.make_room(10'000);
    fill(store, key, 10'000);
    return false;
  };
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 20; ++i) ask("h/popular" + std::to_string(i));
  for (int i = 0; i < 1000; ++i) ask("h/archive" + std::to_string(i));
  int kept = 0;
  for (int i = 0; i < 20; ++i) kept += ask("h/popular" + std::to_string(i)) ? 1 : 0;
  CHECK(kept == 20);
}

TEST_CASE("what is being sent is spared, and more is not promised than there is", "[http_store]") {
  HttpStore store(kMemory);
  std::vector<HttpObjectRef> sending;
  for (int i = 0; i < 10; ++i) sending.push_back(fill(store, "h/" + std::to_string(i), 100'000));
  CHECK_FALSE(store.make_room(200'000));
  CHECK(store.objects() == 10);
  sending.clear();
  CHECK(store.make_room(200'000));
  CHECK(store.objects() < 10);
  CHECK_FALSE(store.make_room(kMemory + 1));
}

TEST_CASE("a key that comes back soon after it went is trusted at once", "[http_queue]") {
  HttpQueue queue;
  const std::string keys[] = {"a", "b", "c"};
  HttpQueue::Node nodes[3];
  for (int i = 0; i < 3; ++i) {
    nodes[i].key = &keys[i];
    nodes[i].cost = 10;
    queue.add(nodes[i]);
  }
  CHECK(queue.evict() == &nodes[0]);
  queue.add(nodes[0]);
  CHECK(nodes[0].in_main);
  CHECK(queue.evict() == &nodes[1]);
  CHECK(queue.evict() == &nodes[2]);
  CHECK(queue.evict() == &nodes[0]);
  CHECK(queue.evict() == nullptr);
  CHECK(queue.cost() == 0);
}
