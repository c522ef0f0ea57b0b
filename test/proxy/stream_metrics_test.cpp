#include "proxy/stream_metrics.h"

#include <catch2/catch.hpp>

namespace weir {
namespace {

bool shows(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

struct Rig {
  explicit Rig(std::size_t top, ControlView::Streams streams = nullptr)
      : shown(metrics, sessions, std::move(streams),
              {.top = top,
               .identity = {"weir-1", "8dh3", "77", "1.2.34"},
               .role = "edge",
               .zone = "a"}) {}
  ~Rig() {
    loops.on_each([this](Loop&) { live.clear(); });
  }

  void begin(const std::string& stream, SessionKind kind, Traffic traffic) {
    loops.on_each([&](Loop& loop) {
      if (loop.index() != 0) return;
      live.push_back(std::make_unique<LiveSession>(
          SessionFacts{.kind = kind, .protocol = "rtmp", .stream = stream},
          [traffic] { return traffic; }, [] {}));
    });
  }

  struct Running : LoopGroup {
    Running() : LoopGroup(2) { start(); }
  };
  Metrics metrics{"1"};
  Running loops;
  SessionDirectory sessions{loops};
  std::vector<std::unique_ptr<LiveSession>> live;
  StreamMetrics shown;
};

}  // namespace

TEST_CASE("the busiest streams have series, and those that fall out have none",
          "[stream_metrics]") {
  Rig rig(2);
  rig.begin("v/a/one", SessionKind::Play, {.received = 1, .sent = 10});
  rig.begin("v/a/two", SessionKind::Play, {.received = 1, .sent = 20});
  rig.begin("v/a/two", SessionKind::Publish, {.received = 500, .sent = 2});
  std::string text = rig.metrics.text();
  CHECK(shows(text, R"(weir_stream_sent_bytes_total{stream="v/a/one"} 10)"));
  CHECK(shows(text, R"(weir_stream_sent_bytes_total{stream="v/a/two"} 22)"));
  CHECK(shows(text, R"(weir_stream_received_bytes_total{stream="v/a/two"} 501)"));
  CHECK(shows(text, R"(weir_stream_viewers{stream="v/a/two"} 1)"));
  CHECK(shows(text, "srs_streams 2"));
  CHECK(shows(text, "srs_clients 3"));

  rig.begin("v/a/zoo", SessionKind::Play, {});
  rig.begin("v/a/zoo", SessionKind::Play, {});
  text = rig.metrics.text();
  CHECK(shows(text, R"(weir_stream_viewers{stream="v/a/zoo"} 2)"));
  CHECK(text.find("v/a/two") == std::string::npos);
  CHECK(shows(text, "srs_streams 3"));
}

TEST_CASE("without series of streams the sums are still there", "[stream_metrics]") {
  Rig rig(0);
  rig.begin("v/a/one", SessionKind::Play, {.received = 1, .sent = 10});
  const std::string text = rig.metrics.text();
  CHECK(text.find("weir_stream_") == std::string::npos);
  CHECK(shows(text, "srs_clients 1"));
}

TEST_CASE("names of streams are escaped, and none is there twice", "[stream_metrics]") {
  Rig rig(9);
  rig.begin("v/a/\"q\"\n", SessionKind::Play, {});
  rig.begin("v/a/\xff", SessionKind::Play, {});
  rig.begin("v/a/\xfe", SessionKind::Play, {});
  const std::string text = rig.metrics.text();
  CHECK(shows(text, R"(weir_stream_viewers{stream="v/a/\"q\"\n"} 1)"));
  const std::string odd = "weir_stream_viewers{stream=\"v/a/\xef\xbf\xbd\"}";
  CHECK(text.find(odd) != std::string::npos);
  CHECK(text.find(odd) == text.rfind(odd));
}

TEST_CASE("an edge tells what it receives from upstream", "[stream_metrics]") {
  Rig rig(9, [] {
    StreamReport held;
    held.key = "v/a/one";
    held.traffic.received = 4000;
    held.rate.received_kbps = 8;
    StreamReport unwatched;
    unwatched.key = "v/a/other";
    return Result<std::vector<StreamReport>>({held, unwatched});
  });
  rig.begin("v/a/one", SessionKind::Play, {.received = 1, .sent = 10});
  const std::string text = rig.metrics.text();
  CHECK(shows(text, R"(weir_stream_received_bytes_total{stream="v/a/one"} 4000)"));
  CHECK(shows(text, R"(weir_stream_media_bytes_per_second{stream="v/a/one"} 1000)"));
  CHECK(shows(text, "srs_streams 2"));
}

TEST_CASE("SRS's metrics are sums of ours", "[stream_metrics]") {
  Rig rig(9);
  rig.metrics.tally("weir_bytes_sent_total", "", {{"protocol", "flv"}}).add(1);
  rig.metrics.tally("weir_cache_sent_bytes_total", "").add(20);
  rig.metrics.tally("weir_relayed_bytes_total", "", {{"direction", "down"}}).add(300);
  rig.metrics.tally("weir_relayed_bytes_total", "", {{"direction", "up"}}).add(4000);
  rig.metrics.tally("weir_bytes_received_total", "").add(50000);
  rig.metrics.tally("weir_sessions_total", "", {{"protocol", "rtmp"}}).add(6);
  rig.metrics.tally("weir_session_failures_total", "", {{"protocol", "rtmp"}}).add(2);
  const std::string text = rig.metrics.text();
  CHECK(shows(text, "srs_send_bytes_total 321"));
  CHECK(shows(text, "srs_receive_bytes_total 54000"));
  CHECK(shows(text, "srs_clients_total 6"));
  CHECK(shows(text, "srs_clients_errs_total 2"));
  CHECK(text.find(R"(srs_build_info{server="weir-1",service="8dh3",pid="77",build_date="",)"
                  R"(major="1",version="1.2.34",code="weir",label="a",tag="edge"} 1)") !=
        std::string::npos);
  CHECK(text.find("srs_node_uname_info{sysname=\"Linux\"") != std::string::npos);
  for (const char* name : {"srs_cpu_percent", "srs_memory"})
    CHECK(text.find("\n# TYPE " + std::string(name) + " gauge\n") != std::string::npos);
}

}  // namespace weir
