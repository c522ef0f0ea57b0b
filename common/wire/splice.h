// common/wire/splice.h
// A copy of a text in which some parts are replaced and all other bytes are the same.
//
// Threading: one owner. Bounds: the text, and what it is given instead of parts.
#pragma once

#include <string>
#include <string_view>

#include "common/check.h"

namespace weir {

class Splice {
 public:
  explicit Splice(std::string_view source) : source_(source) { result_.reserve(source.size()); }

  // REQUIRES: `part` is a view of the source, behind the parts that were replaced before.
  void replace(std::string_view part, std::string_view by) {
    const auto at = static_cast<std::size_t>(part.data() - source_.data());
    INVARIANT(at >= copied_ && at + part.size() <= source_.size(), at, copied_);
    result_ += source_.substr(copied_, at - copied_);
    result_ += by;
    copied_ = at + part.size();
  }

  std::string finish() && {
    result_ += source_.substr(copied_);
    return std::move(result_);
  }

 private:
  std::string_view source_;
  std::string result_;
  std::size_t copied_ = 0;  // so much of the source is in the result, or was replaced
};

}  // namespace weir
