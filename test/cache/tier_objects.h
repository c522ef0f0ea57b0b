// test/cache/tier_objects.h
// Objects to store whose content follows from their key, so that whoever reads one knows what it
// must be.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <random>

#include "cache/object_tier.h"

namespace weir::test {

inline TierObject::Time at(int seconds) {
  return TierObject::Time(std::chrono::seconds(1'700'000'000 + seconds));
}

inline std::string content_of(const std::string& key, std::size_t size) {
  std::string text(size, '\0');
  std::mt19937 random(static_cast<unsigned>(std::hash<std::string>()(key)));
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

inline SharedBytes shared(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  return {as_bytes(*owner), owner};
}

inline TierObject object_of(const std::string& key, std::size_t size) {
  TierObject object{.head = "head of " + key, .expires = at(1'000'000)};
  object.body.push_back(shared(content_of(key, size)));
  return object;
}

inline std::string body_text(const TierObject& object) {
  std::string text;
  for (const auto& piece : object.body) text += as_text(piece.bytes);
  return text;
}

}  // namespace weir::test
