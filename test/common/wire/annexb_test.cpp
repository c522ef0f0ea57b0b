#include "common/wire/annexb.h"

#include <catch2/catch.hpp>

#include "test/support/codecs.h"

using namespace weir;
using namespace weir::test;
using annexb::Syntax;

namespace {

const ByteBuffer kParameterSets = joined({start_code(kSps), start_code(kPps)});
const ByteBuffer kDelimiter = start_code(kAccessUnitDelimiter);

annexb::Config avc() { return *annexb::parse_config(Syntax::H264, avc_record()); }

ByteBuffer picture(const annexb::Config& config, ByteView units, bool keyframe) {
  ByteBuffer out = bytes({'x'});
  const bool whole = annexb::append_picture(out, config, units, keyframe);
  REQUIRE(out.front() == 'x');
  REQUIRE(whole == (out.size() > 1));
  out.erase(out.begin());
  return out;
}

}  // namespace

TEST_CASE("the parameter sets of an AVC record stand behind start codes", "[annexb]") {
  CHECK(avc() == annexb::Config{Syntax::H264, 4, kParameterSets});
  ByteBuffer extended = avc_record();  // high profile says more behind them
  append(extended, bytes({0xfd, 0xf8, 0xf8, 0}));
  CHECK(annexb::parse_config(Syntax::H264, extended) == avc());
}

TEST_CASE("those of an HEVC record too, but for what is no parameter set", "[annexb]") {
  const annexb::Config expected{
      Syntax::Hevc, 4, joined({start_code(kHevcVps), start_code(kHevcSps), start_code(kHevcPps)})};
  CHECK(annexb::parse_config(Syntax::Hevc, hevc_record()) == expected);
  ByteBuffer with_sei = hevc_record();
  with_sei[22] = 4;
  append(with_sei, joined({bytes({39, 0, 1}), nal2(bytes({0x4e, 1, 5}))}));
  CHECK(annexb::parse_config(Syntax::Hevc, with_sei) == expected);
}

TEST_CASE("a record that is cut short anywhere is none", "[annexb]") {
  for (const auto syntax : {Syntax::H264, Syntax::Hevc}) {
    const ByteBuffer whole = syntax == Syntax::H264 ? avc_record() : hevc_record();
    REQUIRE(annexb::parse_config(syntax, whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK_FALSE(annexb::parse_config(syntax, ByteView(whole).first(size)));
  }
}

TEST_CASE(
    "a record without sequence parameters, of another version or with lengths of three is none",
    "[annexb]") {
  ByteBuffer record = avc_record();
  record[0] = 0;
  CHECK_FALSE(annexb::parse_config(Syntax::H264, record));
  record = avc_record();
  record[4] = 0xfe;
  CHECK_FALSE(annexb::parse_config(Syntax::H264, record));
  record = avc_record({});
  CHECK_FALSE(annexb::parse_config(Syntax::H264, record));
  record = hevc_record();
  record[22] = 1;  // the video parameter set alone
  CHECK_FALSE(annexb::parse_config(Syntax::Hevc, record));
}

TEST_CASE("parameter sets have a bound", "[annexb]") {
  const std::size_t others = kPps.size() + 2 * 4;
  const ByteBuffer large(annexb::kMaxParameterSets - others, 0x67);
  CHECK(annexb::parse_config(Syntax::H264, avc_record(large)));
  const ByteBuffer larger(annexb::kMaxParameterSets - others + 1, 0x67);
  CHECK_FALSE(annexb::parse_config(Syntax::H264, avc_record(larger)));
}

TEST_CASE("a keyframe gets a delimiter and the parameter sets, another picture the delimiter",
          "[annexb]") {
  CHECK(picture(avc(), nal4(kIdr), true) == joined({kDelimiter, kParameterSets, start_code(kIdr)}));
  CHECK(picture(avc(), joined({nal4(kSlice), nal4(kSlice)}), false) ==
        joined({kDelimiter, start_code(kSlice), start_code(kSlice)}));
  const auto hevc = *annexb::parse_config(Syntax::Hevc, hevc_record());
  CHECK(picture(hevc, nal4(kHevcIdr), true) ==
        joined({start_code(kHevcDelimiter), hevc.parameter_sets, start_code(kHevcIdr)}));
}

TEST_CASE("what a picture brings along is not doubled", "[annexb]") {
  CHECK(picture(avc(), joined({nal4(kAccessUnitDelimiter), nal4(kSlice)}), false) ==
        joined({kDelimiter, start_code(kSlice)}));
  const ByteBuffer own = bytes({0x67, 9});
  CHECK(picture(avc(), joined({nal4(own), nal4(kPps), nal4(kIdr)}), true) ==
        joined({kDelimiter, start_code(own), start_code(kPps), start_code(kIdr)}));
  const auto hevc = *annexb::parse_config(Syntax::Hevc, hevc_record());
  CHECK(picture(hevc, joined({nal4(kHevcDelimiter), nal4(kHevcSps), nal4(kHevcIdr)}), true) ==
        joined({start_code(kHevcDelimiter), start_code(kHevcSps), start_code(kHevcIdr)}));
}

TEST_CASE("lengths may be of one byte or two", "[annexb]") {
  ByteBuffer record = avc_record();
  record[4] = 0xfc;
  auto config = *annexb::parse_config(Syntax::H264, record);
  CHECK(picture(config, joined({bytes({3}), kSlice}), false) ==
        joined({kDelimiter, start_code(kSlice)}));
  record[4] = 0xfd;
  config = *annexb::parse_config(Syntax::H264, record);
  CHECK(picture(config, nal2(kSlice), false) == joined({kDelimiter, start_code(kSlice)}));
}

TEST_CASE("a picture whose lengths do not add up, or without a unit, leaves no trace", "[annexb]") {
  CHECK(picture(avc(), {}, true).empty());
  CHECK(picture(avc(), nal4({}), true).empty());
  CHECK(picture(avc(), nal4(kAccessUnitDelimiter), false).empty());
  const ByteBuffer whole = joined({nal4(kSlice), nal4(kSlice)});
  for (std::size_t size = 1; size < whole.size(); ++size)
    if (size != nal4(kSlice).size())
      CHECK(picture(avc(), ByteView(whole).first(size), false).empty());
  CHECK(picture(avc(), joined({nal4({}), nal4(kSlice)}), false) ==
        joined({kDelimiter, start_code(kSlice)}));
}
