"""Who was here: a line of the access log for each session and request, and times for metrics, from real clients."""

import gzip
import json
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin
from support.scene import REPOSITORY, SLOWNESS, free_port, wait_until

KEY = "__defaultVhost__/live/a"
SECRET = "hunter2"


class AccessLog(scene.SceneTest):
    def cluster(self):
        """Publisher -> proxy -> origin; an edge that pulls from the proxy."""
        self.origin = Origin(self.scene)
        self.logs = {role: self.scene.path(f"{role}.access.log") for role in ("proxy", "edge")}
        self.proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": self.origin.as_upstream()},
            options={"access_log.path": self.logs["proxy"], "metrics.top_streams": "1"},
        )
        self.edge = Weir(
            self.scene,
            "edge",
            upstreams={"proxy": self.proxy.as_upstream()},
            options={"access_log.path": self.logs["edge"], "metrics.top_streams": "1"},
        )
        self.clip = media.encode_clip(self.scene, seconds=4)
        self.publisher = media.publish(self.scene, self.clip, self.proxy.rtmp_url(f"a?token={SECRET}"))
        wait_until(lambda: "a" in self.origin.published(), "the stream is published")

    def lines(self, role, **wanted):
        with open(self.logs[role]) as file:
            found = [json.loads(line) for line in file]
        return [line for line in found if all(line.get(key) == value for key, value in wanted.items())]

    def one_line(self, role, **wanted):
        def what():
            return role, wanted, self.lines(role)

        return wait_until(lambda: self.lines(role, **wanted), what, 10 * SLOWNESS)[-1]

    def test_sessions_and_requests_of_both_roles_have_their_lines(self):
        self.cluster()
        crowd = Crowd(self.scene)
        viewers = {
            ("edge", "flv"): FlvViewer("127.0.0.1", self.edge.http, f"/live/a.flv?token={SECRET}"),
            ("edge", "rtmp"): RtmpViewer("127.0.0.1", self.edge.rtmp, "live", f"a?token={SECRET}"),
            ("proxy", "rtmp"): RtmpViewer("127.0.0.1", self.proxy.rtmp, "live", f"a?token={SECRET}"),
        }
        crowd.add(*viewers.values())
        wait_until(lambda: all(v.playing(10) for v in viewers.values()), "they play", 20 * SLOWNESS)
        for node in (self.edge, self.proxy):
            self.assertGreaterEqual(node.metric("weir_join_seconds_count", 'protocol="rtmp"'), 1, node.name)
        crowd.drop(*viewers.values())
        for (role, protocol), viewer in viewers.items():
            line = self.one_line(role, action="play", protocol=protocol)
            self.assertEqual((KEY, "closed"), (line["stream"], line["reason"]), line)
            self.assertLess(abs(line["sent"] - viewer.bytes), 300_000, line)
            self.assertTrue(0 < line["seconds"] < 60 * SLOWNESS, line)
            self.assertEqual(8, len(line["session"]), line)
        self.assertEqual("origin", self.one_line("proxy", action="play", protocol="rtmp")["upstream"])
        self.assertEqual("weir-e2e", self.one_line("edge", action="play", protocol="flv")["agent"])

        # Who is refused was here, too.
        nobody = RtmpViewer("127.0.0.1", self.edge.rtmp, "live/deeper", "")
        crowd.add(nobody)
        wait_until(lambda: nobody.closed, "it is refused", 20 * SLOWNESS)
        status = request(self.edge.http, "GET", f"/live/none.m3u8?token={SECRET}", headers={"User-Agent": "probe"})[0]
        line = self.one_line("edge", action="request", target="/live/none.m3u8?token=***")
        self.assertEqual((status, "GET", "probe"), (line["status"], line["method"], line["agent"]))
        garbage = socket.create_connection(("127.0.0.1", self.proxy.http), 5)
        garbage.sendall(b"\x00\x01nonsense\r\n\r\n")
        self.assertTrue(garbage.recv(100).startswith(b"HTTP/1.1 400"))
        garbage.close()
        self.assertEqual("protocol", self.one_line("proxy", action="request", status=400)["reason"])
        self.publisher.stop()
        line = self.one_line("proxy", action="publish")
        self.assertEqual((KEY, "rtmp", "closed"), (line["stream"], line["protocol"], line["reason"]))
        self.assertGreater(line["received"], 10_000)
        self.assertTrue(line["agent"].startswith("FMLE"), line)
        for path in self.logs.values():
            with open(path) as file:
                self.assertNotIn(SECRET, file.read())

    def test_logrotate_moves_the_file_and_no_line_is_lost(self):
        path = self.scene.path("access.log")
        node = Weir(self.scene, "edge", options={"access_log.path": path, "access_log.requests": "on"})
        with open(os.path.join(REPOSITORY, "packaging/logrotate/weir")) as file:
            rules = file.read()
        self.assertIn("/var/log/weir/*.log", rules)
        rules = re.sub(r"^/var/log/weir/.*\{", f"{path} {{", rules, flags=re.M)
        rules = re.sub(r"(?<=postrotate\n).*?(?=endscript)", f"kill -USR1 {node.process.pid}\n", rules, flags=re.S)
        rules = re.sub(r"^\s*(su|create) .*\n", "", rules, flags=re.M)
        config = self.scene.path("logrotate.conf")
        with open(config, "w") as file:
            file.write(rules)
        for i in range(60):
            self.assertEqual(404, request(node.http, "GET", f"/nobody/{i}.m3u8")[0])
            if i % 20 == 10:
                command = ["logrotate", "--force", "--state", self.scene.path("state"), config]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                wait_until(lambda: os.path.exists(path), "the file is there again")

        def targets():
            found = []
            for name in os.listdir(os.path.dirname(path)):
                if name.startswith("access.log"):
                    reader = gzip.open if name.endswith(".gz") else open
                    with reader(os.path.join(os.path.dirname(path), name), "rt") as file:
                        found += [json.loads(line)["target"] for line in file]
            return sorted(found)

        wanted = sorted(f"/nobody/{i}.m3u8" for i in range(60))
        wait_until(lambda: targets() == wanted, targets)

    def test_requests_may_be_left_out_and_lines_may_go_to_standard_output(self):
        node = Weir(
            self.scene, "proxy", options={"access_log.path": "-", "access_log.requests": "off", "log.level": "off"}
        )
        self.assertEqual(503, request(node.http, "GET", "/live/a.m3u8")[0])
        self.assertEqual(503, request(node.http, "GET", "/live/a.flv")[0])
        wait_until(lambda: '"action":"play"' in node.log(), node.log)
        self.assertNotIn(".m3u8", node.log())
        self.assertEqual(1, node.metric("weir_session_failures_total", 'protocol="flv"'))

    def test_series_of_streams_are_those_of_the_busiest(self):
        self.cluster()
        small = media.encode_clip(self.scene, seconds=4, bitrate="100k")
        media.publish(self.scene, small, self.proxy.rtmp_url("b"), name="second")
        wait_until(lambda: "b" in self.origin.published(), "both are published")
        crowd = Crowd(self.scene)
        viewers = [FlvViewer("127.0.0.1", self.edge.http, f"/live/{name}.flv") for name in "aab"]
        crowd.add(*viewers)
        wait_until(lambda: all(v.playing(10) for v in viewers), "they play", 20 * SLOWNESS)
        for node, count in ((self.edge, 2), (self.proxy, 1)):
            shown = lambda: node.metrics().get("weir_stream_viewers", {})
            wait_until(lambda: shown() == {f'stream="{KEY}"': count}, lambda: (node.name, shown()), 10, 0.3)
            self.assertGreater(node.metric("weir_stream_received_bytes_total", KEY), 0)
            self.assertEqual(2, node.metric("srs_streams"))
        crowd.drop(*viewers[:2])
        other = KEY[:-1] + "b"
        shown = lambda: self.edge.metrics().get("weir_stream_viewers", {})
        wait_until(lambda: shown() == {f'stream="{other}"': 1}, shown, 10 * SLOWNESS, 0.3)
        self.assertEqual(3, self.edge.metric("srs_clients_total"))
        self.assertEqual(3, self.edge.metric("weir_join_seconds_count", 'protocol="flv"'))
        self.assertGreater(self.edge.metric("weir_added_latency_seconds_count"), 0)
        self.assertGreater(self.edge.metric("weir_upstream_connect_seconds_count"), 0)


if __name__ == "__main__":
    scene.main()
