"""The control API: it shows what there is, ends what it is told to, and sends the node away."""

import http.client
import json
import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt, webrtc_client
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin, WebrtcOrigin
from support.scene import SLOWNESS, accepts, free_port, wait_until

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "support")

KEY = "__defaultVhost__/live/a"


def call(node, method, path, headers=None, port=None):
    """(status, answer) of a request to the control API."""
    status, _, body = request(port or node.system, method, "/api/v1/" + path, headers=headers)
    return status, json.loads(body)


def get(node, path, **options):
    status, answer = call(node, "GET", path, **options)
    assert status == 200, (path, status, answer)
    assert answer["code"] == 0 and answer["server"] == node.name, answer
    return answer


def clients(node, **wanted):
    """The clients with these fields."""
    found = get(node, "clients?count=1000")["clients"]
    return [c for c in found if all(c[key] == value for key, value in wanted.items())]


class Control(scene.SceneTest):
    def playing(self, *viewers):
        wait_until(lambda: all(v.playing(5) for v in viewers), lambda: [v.describe() for v in viewers], 20)

    def cluster(self, bitrate="800k"):
        """Publisher -> proxy -> origin; viewers -> edge -> proxy."""
        self.origin = Origin(self.scene)
        self.proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": {"rtmp": self.origin.rtmp}},
            options={"listen.api": f"127.0.0.1:{free_port()}"},
        )
        self.edge = Weir(
            self.scene,
            "edge",
            upstreams={"proxy": {**self.proxy.as_upstream(), "api": self.proxy.system}},
            options={"edge.pull": "rtmp"},
        )
        self.clip = media.encode_clip(self.scene, seconds=6, bitrate=bitrate)
        self.publisher = media.publish(self.scene, self.clip, self.proxy.rtmp_url("a"))
        wait_until(lambda: "a" in self.origin.published(), "the stream is published")

    def test_lists_show_what_there_is_and_a_kick_ends_one(self):
        self.cluster()
        crowd = Crowd(self.scene)
        flv = [FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv") for _ in range(2)]
        rtmp = RtmpViewer("127.0.0.1", self.edge.rtmp, "live", "a")
        direct = RtmpViewer("127.0.0.1", self.proxy.rtmp, "live", "a")
        crowd.add(*flv, rtmp, direct)
        self.playing(*flv, rtmp, direct)

        # The edge knows the stream itself: codecs, sizes, pictures.
        stream = get(self.edge, "streams")["streams"][0]
        self.assertEqual((KEY, "live", "a"), (stream["stream_key"], stream["app"], stream["name"]))
        self.assertEqual({"flv": 2, "rtmp": 1}, stream["viewers_by_protocol"])
        self.assertEqual(("upstream", "proxy"), (stream["source"], stream["upstream"]))
        self.assertEqual("h264", stream["video"]["codec"])
        self.assertEqual((320, 180), (stream["video"]["width"], stream["video"]["height"]))
        self.assertEqual("aac", stream["audio"]["codec"])
        self.assertEqual((44100, 1), (stream["audio"]["sample_rate"], stream["audio"]["channel"]))
        self.assertGreater(stream["frames"], 0)
        self.assertEqual(3, len(clients(self.edge, stream_key=KEY)))
        self.assertEqual(
            sorted(["flv-play", "flv-play", "rtmp-play"]), sorted(c["type"] for c in clients(self.edge))
        )
        self.assertEqual({"weir-e2e"}, {c["agent"] for c in clients(self.edge, protocol="flv")})

        # The proxy knows who publishes, who plays, and where to.
        stream = get(self.proxy, "streams")["streams"][0]
        publisher = clients(self.proxy, publish=True)
        self.assertEqual(1, len(publisher))
        self.assertEqual({"active": True, "cid": publisher[0]["id"]}, stream["publish"])
        self.assertTrue(publisher[0]["agent"].startswith("FMLE"), publisher)
        self.assertEqual("origin", publisher[0]["upstream"])
        self.assertEqual(2, stream["viewers"], "our own viewer and the edge")
        self.assertEqual("origin", get(self.proxy, "routes/live/a")["route"]["upstream"])
        self.assertEqual({"origin": 3}, get(self.proxy, "routes/live/a")["route"]["sessions"])
        self.assertEqual(404, call(self.proxy, "GET", "routes/live/none")[0])

        # The rates are the truth, as a viewer that counts for itself sees it.
        began, before = time.monotonic(), direct.bytes
        time_to_count = 6
        wait_until(lambda: time.monotonic() - began > time_to_count, "a while has passed", 30, 0.1)
        truth = (direct.bytes - before) * 8 / 1000 / (time.monotonic() - began)
        for node in (self.edge, self.proxy):
            shown = get(node, "streams")["streams"][0]["bitrate_kbps"]
            self.assertLess(abs(shown - truth), truth * 0.2, (node.name, shown, truth))
        shown = clients(self.edge, type="rtmp-play")[0]["kbps"]["send_30s"]
        self.assertLess(abs(shown - truth), truth * 0.25, (shown, truth))

        # Paging.
        pages = [get(self.edge, f"clients?start={i}&count=1") for i in range(4)]
        self.assertEqual([3] * 4, [page["total"] for page in pages])
        self.assertEqual([1, 1, 1, 0], [len(page["clients"]) for page in pages])
        self.assertEqual(3, len({page["clients"][0]["id"] for page in pages[:3]}))
        self.assertEqual(400, call(self.edge, "GET", "clients?count=1001")[0])

        # Who is kicked goes, and nobody else.
        victim = clients(self.edge, protocol="flv")[0]
        self.assertEqual(200, call(self.edge, "DELETE", f"clients/{victim['id']}")[0])
        wait_until(lambda: sum(v.closed is not None for v in flv) == 1, "one viewer has gone")
        wait_until(lambda: len(clients(self.edge)) == 2, "it is in no list")
        self.assertEqual(404, call(self.edge, "DELETE", f"clients/{victim['id']}")[0])
        stay = [v for v in (*flv, rtmp, direct) if not v.closed]
        frames = [len(v.frames) for v in stay]
        wait_until(lambda: all(len(v.frames) > n + 25 for v, n in zip(stay, frames)), "the others play on")
        self.assertEqual(3, len(stay))

        # On listen.api nobody is kicked.
        reading = int(self.proxy.options["listen.api"].rsplit(":", 1)[1])
        status, answer = call(self.proxy, "DELETE", f"clients/{publisher[0]['id']}", port=reading)
        self.assertEqual(405, status, answer)
        self.assertEqual(404, call(self.proxy, "POST", "drain", port=reading)[0])
        self.assertEqual(1, len(get(self.proxy, "streams", port=reading)["streams"]))

        self.assertEqual(200, call(self.proxy, "DELETE", f"clients/{publisher[0]['id']}")[0])
        self.publisher.wait(5 * SLOWNESS)
        wait_until(lambda: not clients(self.proxy, publish=True), "the publisher is in no list")

        # What the whole cluster knows, in one answer.
        summary = get(self.edge, "summaries")["data"]
        self.assertEqual(("edge", "ready"), (summary["weir"]["role"], summary["weir"]["state"]))
        self.assertEqual(summary["self"]["pid"], self.edge.process.pid)

    def test_a_cluster_answers_as_one_and_names_who_does_not(self):
        self.cluster()
        dead, silent = free_port(), socket.create_server(("127.0.0.1", 0))
        self.scene.at_end(silent.close)
        front = Weir(
            self.scene,
            "edge",
            name="front",
            upstreams={
                "edge": {**self.edge.as_upstream(), "api": self.edge.system},
                "proxy": {**self.proxy.as_upstream(), "api": self.proxy.system},
                "dead": {"rtmp": dead, "api": dead},
                "silent": {"rtmp": dead, "api": silent.getsockname()[1]},
            },
        )
        viewer = Crowd(self.scene).add(FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv"))
        self.playing(viewer)
        began = time.monotonic()
        answer = get(front, "streams?scope=cluster")
        self.assertLess(time.monotonic() - began, 2 * SLOWNESS)
        self.assertEqual({"edge", "proxy"}, {s["node"] for s in answer["streams"]})
        nodes = {node["id"]: node for node in answer["nodes"]}
        self.assertEqual({"front", "edge", "proxy"}, {id for id, node in nodes.items() if node["ok"]})
        self.assertEqual({"dead", "silent"}, {id for id, node in nodes.items() if "error" in node})
        kinds = {c["type"] for c in get(front, "clients?scope=cluster")["clients"]}
        self.assertEqual({"flv-play", "rtmp-play", "fmle-publish"}, kinds)
        summaries = {s["node"]: s["weir"]["role"] for s in get(front, "summaries?scope=cluster")["data"]}
        self.assertEqual({"front": "edge", "edge": "edge", "proxy": "proxy"}, summaries)

    def test_a_drained_upstream_gets_no_new_streams(self):
        origins = [Origin(self.scene, f"o{i}") for i in range(2)]
        proxy = Weir(self.scene, "proxy", upstreams={o.name: {"rtmp": o.rtmp} for o in origins})
        clip = media.encode_clip(self.scene, seconds=4)
        self.assertEqual(200, call(proxy, "POST", "upstreams/o0/drain")[0])
        for i in range(3):
            media.publish(self.scene, clip, proxy.rtmp_url(f"s{i}"))
        wait_until(lambda: len(origins[1].published()) == 3, "all are at the other one")
        state = {u["id"]: u["drained"] for u in get(proxy, "upstreams")["upstreams"]}
        self.assertEqual({"o0": True, "o1": False}, state)
        self.assertEqual(200, call(proxy, "POST", "upstreams/o0/undrain")[0])
        media.publish(self.scene, clip, proxy.rtmp_url("late"))
        wait_until(lambda: "late" in origins[0].published(), "the empty one gets the next stream")
        self.assertEqual(403, call(proxy, "DELETE", "upstreams/o0")[0])
        self.assertEqual(404, call(proxy, "POST", "upstreams/nobody/drain")[0])

        late = Origin(self.scene, "late")
        self.assertEqual(200, proxy.register(late)[0])
        self.assertEqual(200, call(proxy, "GET", "upstreams/late")[0])
        self.assertEqual(200, call(proxy, "DELETE", "upstreams/late")[0])
        self.assertEqual(404, call(proxy, "GET", "upstreams/late")[0])

    def test_a_token_is_asked_for(self):
        node = Weir(self.scene, "edge", options={"api.token": "s3cret"})
        status, headers, body = request(node.system, "GET", "/api/v1/clients")
        self.assertEqual((401, 401), (status, json.loads(body)["code"]))
        self.assertTrue(headers["WWW-Authenticate"].startswith("Bearer"), headers)
        self.assertEqual(401, call(node, "POST", "drain", {"Authorization": "Bearer wrong"})[0])
        self.assertEqual(200, request(node.system, "GET", "/metrics")[0])
        right = {"Authorization": "Bearer s3cret"}
        self.assertEqual(0, get(node, "clients", headers=right)["total"])
        self.assertNotIn("s3cret", node.log())
        self.assertEqual(200, call(node, "POST", "drain", right)[0])
        self.assertEqual(0, node.process.wait(5 * SLOWNESS))

        # Without one, a web page of another site is kept out.
        node = Weir(self.scene, "edge", name="open")
        self.assertEqual(403, call(node, "POST", "drain", {"Origin": "http://evil.example"})[0])
        self.assertEqual(403, call(node, "POST", "drain", {"Host": f"evil.example:{node.system}"})[0])
        self.assertEqual("ready", get(node, "summaries")["data"]["weir"]["state"])

    def leaving(self, grace="4s"):
        """An edge with viewers of three kinds."""
        self.edge = Weir(self.scene, "edge", options={"shutdown.grace": grace, "shutdown.force": "90s"})
        clip = media.encode_clip(self.scene, seconds=4)
        self.publisher = media.publish(self.scene, clip, self.edge.rtmp_url("a"))
        wait_until(lambda: get(self.edge, "streams")["total"] == 1, "the stream is there")
        self.flv = FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv")
        self.plain = RtmpViewer("127.0.0.1", self.edge.rtmp, "live", "a")
        self.modern = RtmpViewer("127.0.0.1", self.edge.rtmp, "live", "a", connect={"capsEx": 1})
        self.viewers = (self.flv, self.plain, self.modern)
        Crowd(self.scene).add(*self.viewers)
        self.playing(*self.viewers)

    def test_a_drain_lets_viewers_go_on_and_tells_them_at_the_end(self):
        self.leaving()
        idle = http.client.HTTPConnection("127.0.0.1", self.edge.http, timeout=5)
        idle.request("GET", "/none.txt")
        idle.getresponse().read()
        self.scene.at_end(idle.close)
        self.assertEqual(200, call(self.edge, "POST", "drain")[0])
        began = time.monotonic()
        wait_until(lambda: request(self.edge.system, "GET", "/readyz")[0] == 503, "it is not ready")
        self.assertIn(b"draining", request(self.edge.system, "GET", "/readyz")[2])
        self.assertEqual(200, request(self.edge.system, "GET", "/healthz")[0])
        self.assertEqual("draining", get(self.edge, "summaries")["data"]["weir"]["state"])
        self.assertEqual(200, call(self.edge, "POST", "drain")[0], "it may be said twice")
        wait_until(
            lambda: not accepts(self.edge.rtmp) and not accepts(self.edge.http), "nobody is let in any more"
        )
        self.assertEqual(b"", idle.sock.recv(1), "an idle connection is ended at once")
        frames = [len(v.frames) for v in self.viewers]
        wait_until(
            lambda: all(len(v.frames) > n + 40 for v, n in zip(self.viewers, frames)), "they play on", 5
        )
        self.assertTrue(self.publisher.running())
        self.assertNotIn("NetConnection.Connect.ReconnectRequest", self.modern.client.codes)
        self.assertEqual(0, self.edge.process.wait(10 * SLOWNESS))
        took = time.monotonic() - began
        self.assertTrue(3.5 < took < 4 + 3 * SLOWNESS, took)
        wait_until(lambda: all(v.closed for v in self.viewers), "all have ended")
        self.assertEqual("NetConnection.Connect.ReconnectRequest", self.modern.status)
        self.assertEqual("NetStream.Play.UnpublishNotify", self.plain.status)
        for viewer in self.viewers:
            self.assertIsNone(viewer.error, viewer.describe())

    def test_a_drain_is_over_when_nobody_is_left(self):
        self.leaving(grace="60s")
        self.edge.process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(self.edge.rtmp), "nobody is let in any more")
        self.assertTrue(self.edge.process.running())
        for client in clients(self.edge):
            self.assertEqual(200, call(self.edge, "DELETE", f"clients/{client['id']}")[0])
        self.assertEqual(0, self.edge.process.wait(5 * SLOWNESS))

    def test_a_second_signal_ends_at_once(self):
        self.leaving(grace="60s")
        self.edge.process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(self.edge.rtmp), "nobody is let in any more")
        self.assertTrue(self.edge.process.running())
        began = time.monotonic()
        self.edge.process.signal(signal.SIGTERM)
        self.assertEqual(0, self.edge.process.wait(5 * SLOWNESS))
        self.assertLess(time.monotonic() - began, 2 * SLOWNESS)

    def every_protocol(self, options=None):
        """A proxy and behind it SRT, RTSP and WebRTC: a publisher and a viewer of each, these as self.viewers."""
        rtsp = free_port()
        origin = srt.Origin(self.scene)
        self.scene.start("rtsp-origin", [os.path.join(SUPPORT, "rtsp_server.py"), "--port", rtsp])
        webrtc = WebrtcOrigin(self.scene)
        ports = {name: f"127.0.0.1:{free_port()}" for name in ("srt", "rtsp", "webrtc")}
        listen = {f"listen.{name}": at for name, at in ports.items()}
        wait_until(lambda: accepts(rtsp), "the RTSP origin listens", 20 * SLOWNESS)
        node = self.proxy = Weir(
            self.scene,
            "proxy",
            upstreams={"origin": {"srt": origin.port, "rtsp": rtsp, "http": webrtc.http}},
            options={**listen, "webrtc.candidates": "127.0.0.1", **(options or {})},
        )
        url = f"srt://{ports['srt']}?streamid="
        clip = media.encode_clip(self.scene, seconds=4, audio=False)
        live = [*media.FFMPEG, "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy"]
        watch = [*media.FFMPEG, "-i"]
        self.scene.start("srt-publisher", [*live, "-f", "mpegts", url + "#!::r=live/a,m=publish"])
        wait_until(lambda: "publish live/a" in origin.log(), "SRT is published", 10 * SLOWNESS)
        tool = ["srt-live-transmit", "-a:no", url + "#!::r=live/a", "file://con"]
        with open(os.devnull, "wb") as nowhere:
            transmit = self.scene.start("srt-viewer", tool, stdout=nowhere)
        url = f"rtsp://{ports['rtsp']}/live/a"
        self.scene.start("rtsp-publisher", [*live, "-f", "rtsp", "-rtsp_transport", "tcp", url])
        wait_until(lambda: clients(node, protocol="rtsp", publish=True), "RTSP is published", 10 * SLOWNESS)
        ffmpeg = self.scene.start("rtsp-viewer", [*watch, url, "-c", "copy", "-f", "null", "-"])
        base = f"http://127.0.0.1:{node.http}"
        publisher = webrtc_client.Client(self.scene, "publisher", "publish", f"{base}/live/a/whip")
        wait_until(lambda: publisher.seen()["state"] == "connected", "WebRTC is published", 20 * SLOWNESS)
        viewer = webrtc_client.Client(self.scene, "viewer", "play", f"{base}/live/a/whep")
        wait_until(lambda: viewer.frames("video") > 5, "WebRTC is watched", 20 * SLOWNESS)
        self.viewers = {"srt": transmit, "rtsp": ffmpeg, "webrtc": viewer}
        wait_until(lambda: len(clients(node)) == 6, lambda: clients(node), 20 * SLOWNESS)

    def test_clients_of_every_protocol_are_listed_counted_and_kicked(self):
        log = self.scene.path("access.log")
        self.every_protocol({"access_log.path": log})
        node = self.proxy
        for protocol in self.viewers:
            found = clients(node, protocol=protocol)
            self.assertEqual([False, True], sorted(c["publish"] for c in found), found)
            self.assertEqual({(KEY, "origin")}, {(c["stream_key"], c["upstream"]) for c in found})
        self.assertTrue(all("Lavf" in c["agent"] for c in clients(node, protocol="rtsp")))
        stream = get(node, "streams")["streams"][0]
        self.assertEqual({"srt": 1, "rtsp": 1, "webrtc": 1}, stream["viewers_by_protocol"])

        def counted():
            way = {True: "recv_bytes", False: "send_bytes"}
            return {(c["protocol"], c["publish"]): c[way[c["publish"]]] for c in clients(node)}

        before = counted()
        wait_until(lambda: all(n > before[key] for key, n in counted().items()), "bytes are counted")

        for protocol in self.viewers:
            (victim,) = clients(node, protocol=protocol, publish=False)
            self.assertEqual(200, call(node, "DELETE", f"clients/{victim['id']}")[0])
            wait_until(lambda: not clients(node, id=victim["id"]), f"{protocol}: it is in no list")
            self.assertEqual(1, len(clients(node, protocol=protocol)), "the publisher stays")
        for protocol in ("srt", "rtsp"):
            self.viewers[protocol].wait(5 * SLOWNESS)
        # The next frames would come within milliseconds; what is under way may still arrive.
        viewer = self.viewers["webrtc"]
        wait_until(lambda: viewer.seen()["gap"] > 2, lambda: viewer.seen(), 10 * SLOWNESS)
        self.assertEqual(3, len(clients(node)))
        self.assertEqual(0, node.metric("weir_session_failures_total"))

        # Each has left its line when the node has ended, and those that were kicked say so.
        node.process.signal(signal.SIGINT)
        self.assertEqual(0, node.process.wait(10 * SLOWNESS))
        with open(log) as file:
            lines = [json.loads(line) for line in file]
        ended = {(line["protocol"], line["action"]): line for line in lines if line["action"] != "request"}
        self.assertEqual({(p, a) for p in self.viewers for a in ("play", "publish")}, set(ended))
        for (_, action), line in ended.items():
            self.assertEqual((KEY, "origin"), (line["stream"], line["upstream"]), line)
            self.assertGreater(line["sent" if action == "play" else "received"], 1000, line)
            if action == "play":
                self.assertEqual("cancelled", line["reason"], line)

    def test_a_relayed_viewer_that_can_is_told_to_reconnect_at_the_end_of_a_drain(self):
        origin = Origin(self.scene)
        upstreams = {"origin": {"rtmp": origin.rtmp}}
        node = Weir(self.scene, "proxy", upstreams=upstreams, options={"shutdown.grace": "1s"})
        media.publish(self.scene, media.encode_clip(self.scene, seconds=4), node.rtmp_url("a"))
        wait_until(lambda: "a" in origin.published(), "the stream is published")
        plain = RtmpViewer("127.0.0.1", node.rtmp, "live", "a")
        modern = RtmpViewer("127.0.0.1", node.rtmp, "live", "a", connect={"capsEx": 1})
        Crowd(self.scene).add(plain, modern)
        self.playing(plain, modern)
        self.assertEqual(200, call(node, "POST", "drain")[0])
        self.assertEqual(0, node.process.wait(10 * SLOWNESS))
        wait_until(lambda: plain.closed and modern.closed, "both have ended")
        self.assertEqual("NetConnection.Connect.ReconnectRequest", modern.status)
        self.assertNotIn("NetConnection.Connect.ReconnectRequest", plain.client.codes)
        for viewer in (plain, modern):
            self.assertIsNone(viewer.error, viewer.describe())

    def test_clients_of_every_protocol_go_on_through_a_drain_and_hear_its_end(self):
        self.every_protocol({"shutdown.grace": "3s"})
        self.assertEqual(200, call(self.proxy, "POST", "drain")[0])
        began, frames = time.monotonic(), self.viewers["webrtc"].frames("video")
        wait_until(lambda: self.viewers["webrtc"].frames("video") > frames + 15, "WebRTC plays on", 3)
        self.assertTrue(self.viewers["srt"].running() and self.viewers["rtsp"].running())
        self.assertEqual(6, len(clients(self.proxy)))
        for protocol in self.viewers:
            self.assertEqual(1, self.proxy.metric("weir_join_seconds_count", f'protocol="{protocol}"'))
        self.assertEqual(0, self.proxy.process.wait(10 * SLOWNESS))
        self.assertGreater(time.monotonic() - began, 2.5)
        # By SHUTDOWN, at once: srt-live-transmit would take five seconds to notice a silence.
        self.viewers["srt"].wait(2 * SLOWNESS)
        self.viewers["rtsp"].wait(5 * SLOWNESS)

    def test_who_waits_in_the_queue_is_served_or_closed_cleanly(self):
        node = Weir(self.scene, "edge", options={"shutdown.grace": "3s", "workers": 2})
        node.process.signal(signal.SIGSTOP)
        waiting = []
        for _ in range(40):
            sock = socket.create_connection(("127.0.0.1", node.http), 5)
            sock.sendall(b"GET /none.txt HTTP/1.1\r\nHost: x\r\n\r\n")
            self.scene.at_end(sock.close)
            waiting.append(sock)
        node.process.signal(signal.SIGTERM)
        node.process.signal(signal.SIGCONT)
        for sock in waiting:
            sock.settimeout(10)
            answer = b""
            while data := sock.recv(65536):  # a reset would raise
                answer += data
            self.assertTrue(answer.startswith(b"HTTP/1.1 404"), answer)
        self.assertEqual(0, node.process.wait(5 * SLOWNESS))


if __name__ == "__main__":
    scene.main()
