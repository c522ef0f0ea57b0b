#include "common/wire/srt_streamid.h"

#include <catch2/catch.hpp>

#include "common/wire/srt.h"

using namespace weir;
using namespace weir::srt;

namespace {

using Mode = StreamRequest::Mode;

StreamRequest asked(std::string_view text) { return parse_stream_id(text).value(); }

std::string mistake(std::string_view text) {
  auto request = parse_stream_id(text);
  return request ? "none" : std::string(name(request.error().code));
}

}  // namespace

TEST_CASE("the keys of access control stand in any order", "[srt_streamid]") {
  const StreamRequest cam{Mode::Publish, "a.org", "live/cam", "me"};
  CHECK(asked("#!::h=a.org,r=live/cam,m=publish,u=me") == cam);
  CHECK(asked("#!::u=me,m=publish,s=session,t=stream,r=live/cam,h=a.org") == cam);
  CHECK(asked("#!::r=live/cam").mode == Mode::Request);
  CHECK(asked("#!::r=live/cam,m=request").mode == Mode::Request);
  CHECK(asked("#!::m=bidirectional,r=live/cam").mode == Mode::Publish);
  CHECK(asked("#!::,,r=live/cam,,x,=,").resource == "live/cam");
}

TEST_CASE("keys may be percent-encoded", "[srt_streamid]") {
  CHECK(asked("#!::r=live%2Fc%61m%3Fa%3d1,u=a%2Cb").resource == "live/cam?a=1");
  CHECK(asked("#!::r=live/cam,u=a%2Cb").user == "a,b");
  CHECK(mistake("#!::r=live/cam%2") == "protocol");
  CHECK(mistake("#!::r=live/cam%zz") == "protocol");
  CHECK(mistake("#!::r=live/cam%00") == "protocol");
  CHECK(asked("#!::r=live/cam,token=100%").resource == "live/cam");
}

TEST_CASE("a host with a slash is the stream when there is no other", "[srt_streamid]") {
  CHECK(asked("#!::h=live/cam,m=publish") == StreamRequest{Mode::Publish, "", "live/cam", ""});
  CHECK(asked("#!::h=a.org/x,r=live/cam").host == "a.org/x");
}

TEST_CASE("an action stands in front of a path, its user behind", "[srt_streamid]") {
  CHECK(asked("publish:live/cam") == StreamRequest{Mode::Publish, "", "live/cam", ""});
  CHECK(asked("read:live/cam") == StreamRequest{Mode::Request, "", "live/cam", ""});
  CHECK(asked("publish:live/cam:me:secret:x=1") ==
        StreamRequest{Mode::Publish, "", "live/cam", "me"});
  CHECK(asked("live/cam?x=1") == StreamRequest{Mode::Request, "", "live/cam?x=1", ""});
}

TEST_CASE("what names no stream is refused", "[srt_streamid]") {
  for (const auto* text : {"", "#!::", "#!::m=publish", "#!::h=a.org", "publish:", "read::me"})
    CHECK(mistake(text) == "not_found");
  CHECK(mistake("#!::r=live/cam,m=steal") == "protocol");
  CHECK(mistake("live/c\nm") == "protocol");
  CHECK(mistake(std::string(kMaxStreamId, 'x')) == "none");
  CHECK(mistake(std::string(kMaxStreamId + 1, 'x')) == "limit");
}

TEST_CASE("a request written as a streamid reads back", "[srt_streamid]") {
  const StreamRequest request{Mode::Publish, "a.org", "live/a=b,c%d?x=1&y=2", "you, me"};
  CHECK(asked(to_stream_id(request)) == request);
}
