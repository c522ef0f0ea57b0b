"""What becomes of sessions that were let in: they end with their permission, a publisher that is too fast is closed,
nothing that a client has shown is told by any log."""

import http.client
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import bare_webrtc, media, scene, srt
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin
from support.permits import KEY, SECRET, key_set, signed, token
from support.scene import SLOWNESS, free_port, wait_until
from support.session import Session

SECONDS = 20 * SLOWNESS
BRIEF = int(6 * SLOWNESS)
RTSP_SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "support", "rtsp_server.py")
RULES = {
    "access.publish.require": "signature",
    "access.play.require": "signature",
    "access.sign.secret": SECRET,
    "access.end_at_expiry": "on",
}


class RtspPlayer:
    """Plays over its one connection, and shows its permission as a header, of which the origin knows nothing."""

    def __init__(self, scene, port, stream, shown):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        scene.at_end(self.socket.close)
        self.headers = {"Authorization": f"Bearer {shown}"}
        url, self.received, self.asked = f"rtsp://127.0.0.1:{port}/live/{stream}", b"", 0
        described = self.ask("DESCRIBE", url, Accept="application/sdp")
        control = [line for line in described.splitlines() if line.startswith("a=control:")][-1]
        track = control.removeprefix("a=control:")
        track = track if track.startswith("rtsp:") else f"{url}/{track}"
        session = self.ask("SETUP", track, Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        (name,) = [line.partition(": ")[2] for line in session.splitlines() if line.startswith("Session")]
        self.ask("PLAY", url, Session=name.partition(";")[0])
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def ask(self, method, url, **headers):
        self.asked += 1
        lines = [f"{name}: {value}" for name, value in {"CSeq": self.asked, **self.headers, **headers}.items()]
        self.socket.sendall("\r\n".join([f"{method} {url} RTSP/1.0", *lines, "", ""]).encode())
        text = b""
        while b"\r\n\r\n" not in text:
            text += self.socket.recv(4096)
        head, _, body = text.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head, re.I)
        while length and len(body) < int(length[1]):
            body += self.socket.recv(4096)
        assert head.startswith(b"RTSP/1.0 200"), head
        return (head + b"\r\n" + body).decode("latin-1")

    def _read(self):
        try:
            while data := self.socket.recv(65536):
                self.received += data
        except OSError:
            pass

    def playing(self):
        return self.thread.is_alive() and len(self.received) > 10_000


class AccessSessions(scene.SceneTest):
    def proxy(self, options, **upstreams):
        """A node that speaks everything; `ports` are its own."""
        self.ports = {name: free_port() for name in ("srt", "rtsp", "webrtc")}
        return Weir(
            self.scene,
            "proxy",
            upstreams={name: of for name, of in upstreams.items() if of},
            options={
                **{f"listen.{name}": f"127.0.0.1:{port}" for name, port in self.ports.items()},
                "webrtc.candidates": "127.0.0.1",
                "health.check": "off",
                **options,
            },
        )

    def keys(self):
        """The options of tokens that KEY has signed."""
        path = self.scene.path("keys.json")
        with open(path, "w") as file:
            file.write(key_set(a=KEY))
        return {"access.publish.require": "any", "access.play.require": "any", "access.jwt.keys": path}

    def test_sessions_at_an_edge_end_with_what_was_shown(self):
        node = Weir(self.scene, "edge", options=RULES)
        clip = media.encode_clip(self.scene, seconds=4)
        publisher = media.publish(self.scene, clip, node.rtmp_url(f"cam?{signed('/live/cam', 'publish')}"))
        crowd = Crowd(self.scene)
        shown, brief = signed("/live/cam"), signed("/live/cam", seconds=BRIEF)
        lasting = [
            RtmpViewer("127.0.0.1", node.rtmp, "live", f"cam?{shown}"),
            FlvViewer("127.0.0.1", node.http, f"/live/cam.flv?{shown}"),
        ]
        passing = [
            RtmpViewer("127.0.0.1", node.rtmp, "live", f"cam?{brief}"),
            FlvViewer("127.0.0.1", node.http, f"/live/cam.flv?{brief}"),
        ]
        wait_until(lambda: node.metric("weir_publishers") == 1, "it is published", SECONDS)
        crowd.add(*lasting, *passing)
        everybody = lambda: [v.describe() for v in lasting + passing]
        wait_until(lambda: all(v.playing(5) for v in lasting + passing), everybody, SECONDS)
        wait_until(lambda: all(v.closed for v in passing), everybody, SECONDS)
        ended = time.time() - int(brief.split("expires=")[1].split("&")[0])
        self.assertTrue(0 <= ended < 3 * SLOWNESS, ended)
        self.assertFalse(any(v.closed for v in lasting), everybody())
        self.assertIn("its permission has expired", node.log())
        self.assertTrue(publisher.running(), publisher.text())
        hasty = media.publish(
            self.scene, clip, node.rtmp_url(f"b?{signed('/live/b', 'publish', BRIEF)}"), name="hasty"
        )
        wait_until(lambda: node.metric("weir_publishers") == 2, "it is published", SECONDS)
        wait_until(lambda: not hasty.running(), "its time is over", SECONDS)
        self.assertTrue(publisher.running(), publisher.text())

    def test_sessions_through_a_proxy_end_with_what_was_shown(self):
        origin, srt_origin, webrtc = Origin(self.scene), srt.Origin(self.scene), bare_webrtc.Origin(self.scene)
        rtsp = free_port()
        self.scene.start("rtsp-origin", [RTSP_SERVER, "--port", rtsp])
        wait_until(lambda: scene.accepts(rtsp), "the origin listens", SECONDS)
        log = self.scene.path("access.log")
        node = self.proxy(
            {**RULES, **self.keys(), "access.jwt.leeway": "0s", "access_log.path": log},
            o={**origin.as_upstream(), "srt": srt_origin.port, "rtsp": rtsp, "api": webrtc.http},
        )
        clip = media.encode_clip(self.scene, seconds=4)

        def publish(name, seconds=BRIEF):
            return signed(f"/live/{name}", "publish", seconds)

        lasting = media.publish(self.scene, clip, node.rtmp_url(f"cam?{publish('cam', 600)}"))
        wait_until(lambda: "cam" in origin.published(), "it is published", SECONDS)
        crowd = Crowd(self.scene)
        viewer = crowd.add(
            RtmpViewer("127.0.0.1", node.rtmp, "live", f"cam?{signed('/live/cam', seconds=BRIEF)}")
        )
        shown = token(stream="/live/testsrc", exp=int(time.time()) + BRIEF)
        over_rtsp = RtspPlayer(self.scene, self.ports["rtsp"], "testsrc", shown)
        over_srt = srt.call(self.scene, self.ports["srt"], f"#!::r=live/c,m=publish,{publish('c').replace('&', ',')}")
        client = bare_webrtc.Client(self.scene, node.http, f"/live/d/whip?{publish('d')}")
        client.socket.send(client.check())
        wait_until(lambda: viewer.playing(5), viewer.describe, SECONDS)
        wait_until(over_rtsp.playing, "it plays over RTSP", SECONDS)
        self.assertTrue(over_srt.connected())
        wait_until(lambda: node.metric("weir_webrtc_sessions") == 1, "the WebRTC session is there", SECONDS)
        wait_until(lambda: viewer.closed, viewer.describe, SECONDS)
        wait_until(lambda: not over_rtsp.thread.is_alive(), "the RTSP session has ended", SECONDS)
        wait_until(lambda: not over_srt.connected(), "the SRT session has ended", SECONDS)
        wait_until(lambda: node.metric("weir_webrtc_sessions") == 0, "the WebRTC session has ended", SECONDS)
        self.assertTrue(lasting.running(), lasting.text())

        def ends():
            with open(log) as file:
                return sorted(line.split('"protocol":"')[1].split('"')[0] for line in file if '"denied"' in line)

        wait_until(lambda: ends() == ["rtmp", "rtsp", "srt", "webrtc"], ends, SECONDS)

    def test_a_live_pipe_through_a_proxy_ends_with_what_was_shown(self):
        edge = Weir(self.scene, "edge")
        media.publish(self.scene, media.encode_clip(self.scene, seconds=4), edge.rtmp_url("cam"))
        proxy = Weir(self.scene, "proxy", upstreams={"edge": edge.as_upstream()}, options=RULES)
        wait_until(lambda: edge.metric("weir_publishers") == 1, "it is published", SECONDS)
        crowd = Crowd(self.scene)
        viewers = [
            FlvViewer("127.0.0.1", proxy.http, f"/live/cam.flv?{signed('/live/cam', seconds=seconds)}")
            for seconds in (600, BRIEF)
        ]
        crowd.add(*viewers)
        everybody = lambda: [v.describe() for v in viewers]
        wait_until(lambda: all(v.playing(5) for v in viewers), everybody, SECONDS)
        wait_until(lambda: viewers[1].closed, everybody, SECONDS)
        self.assertFalse(viewers[0].closed, everybody())

    def test_rules_are_for_the_client_behind_a_trusted_hop(self):
        hop, stranger, refused, welcome = "127.0.0.9", "127.0.0.8", "192.0.2.5", "198.51.100.7"
        for role in ("proxy", "edge"):
            node = Weir(
                self.scene,
                role,
                options={"forwarded.from": hop, "access.play.deny": "192.0.2.0/24", "edge.start_timeout": "1s"},
            )
            behind_hop = http.client.HTTPConnection("127.0.0.1", node.http, source_address=(hop, 0))
            by_itself = http.client.HTTPConnection("127.0.0.1", node.http, source_address=(stranger, 0))
            for path in ("/live/a.m3u8", "/live/a.flv"):
                for connection, client, kept_out in (
                    (behind_hop, refused, True),
                    (behind_hop, welcome, False),
                    (behind_hop, refused, True),
                    (by_itself, refused, False),
                ):
                    connection.request("GET", path, headers={"X-Forwarded-For": client})
                    response = connection.getresponse()
                    response.read()
                    self.assertEqual(kept_out, response.status == 403, (role, path, client, response.status))
            self.assertEqual(4, node.metric("weir_access_refused_total", 'reason="address"'))

    def test_a_webrtc_publisher_that_is_too_fast_is_closed(self):
        webrtc = bare_webrtc.Origin(self.scene)
        node = self.proxy(
            {"limits.publish_bitrate": "50", "limits.publish_patience": "2s"}, o={"api": webrtc.http}
        )
        client = bare_webrtc.Client(self.scene, node.http, "/live/fast/whip")
        probe = bare_webrtc.Probe(client)  # 165 kbit/s
        wait_until(lambda: len(probe.came) > 10, "its packets pass", SECONDS)
        wait_until(lambda: node.metric("weir_access_refused_total", 'reason="bitrate"') == 1, node.log, SECONDS)
        wait_until(lambda: node.metric("weir_webrtc_sessions") == 0, "its session has ended", SECONDS)
        self.assertIn("publisher sends", node.log())
        came = len(probe.came)
        probe.stop()
        self.assertLess(len(probe.came), probe.sent, came)

    def test_a_webrtc_viewer_and_a_slow_publisher_stay(self):
        webrtc = bare_webrtc.Origin(self.scene)
        node = self.proxy(
            {"limits.publish_bitrate": "10000", "limits.publish_patience": "1s"}, o={"api": webrtc.http}
        )
        probe = bare_webrtc.Probe(bare_webrtc.Client(self.scene, node.http, "/live/slow/whip"))
        wait_until(lambda: probe.sent > 300, "it has sent for three seconds", SECONDS)
        self.assertEqual([], probe.stop())
        self.assertEqual(1, node.metric("weir_webrtc_sessions"))

    def test_nothing_that_a_client_shows_is_told_by_a_log(self):
        """Whatever becomes of it: let in, refused, without an upstream, and asked about at callbacks that are down."""
        good = token(stream="/live/*", action=["play", "publish"])
        bad = token(b"x" * 32, stream="/live/*", action=["play", "publish"])
        secrets = [part for text in (good, bad) for part in text.split(".")[1:]]
        rules = {**self.keys(), "access.sign.secret": SECRET}
        for hooks in ({}, {"access.hook.on_play": f"http://127.0.0.1:{free_port()}/?key=of-the-hook"}):
            with self.subTest(hooks):
                log = self.scene.path(f"access-{len(hooks)}.log")
                proxy = self.proxy({**rules, **hooks, "access_log.path": log, "origin.connect_timeout": "1s"})
                edge = Weir(
                    self.scene,
                    "edge",
                    upstreams={"proxy": proxy.as_upstream()},
                    options={
                        **rules,
                        **hooks,
                        "access_log.path": log + ".edge",
                        "access.traverse": "on",
                        "edge.start_timeout": "1s",
                    },
                )
                for shown in (good, bad):
                    self.show_everywhere(proxy, shown)
                    self.show_everywhere(edge, shown, all_protocols=False)
                said = {}
                for node in (proxy, edge):
                    said[node.name] = node.log()
                    for page in ("/metrics", "/api/v1/clients/", "/api/v1/streams/"):
                        said[node.name + page] = request(node.system, "GET", page)[2].decode()
                for path in (log, log + ".edge"):
                    with open(path) as file:
                        said[path] = file.read()
                    self.assertIn("token=***", said[path])
                for where, text in said.items():
                    for secret in [*secrets, "of-the-hook", KEY.decode(), SECRET]:
                        self.assertNotIn(secret, text, where)

    def show_everywhere(self, node, shown, all_protocols=True):
        for publish in (False, True):
            for app, stream in ((f"live?token={shown}", "a"), ("live", f"a?token={shown}")):
                connect = {"pageUrl": f"http://page/?token={shown}", "swfUrl": f"http://swf/?token={shown}"}
                session = Session(self.scene, "127.0.0.1", node.rtmp, app, stream, publish=publish, connect=connect)
                refused = lambda session=session: session.ended or session.client.codes
                session.until(refused, "an answer", SECONDS)
                session.socket.close()
        bearer = {"Authorization": f"Bearer {shown}"}
        for headers in (bearer, {"Referer": f"http://page/?token={shown}"}, {}):
            for path in ("/live/a.flv", "/live/a.m3u8", "/live/a-1.ts", "/live/a.mpd"):
                query = "" if headers is bearer else f"?token={shown}"
                request(node.http, "GET", path + query, headers=headers)
        if not all_protocols:
            return
        offer = {"Content-Type": "application/sdp"}
        for path, headers in (
            ("/live/a/whip", bearer),
            (f"/whep/live/a?token={shown}", {}),
            (f"/rtc/v1/whip/?app=live&stream=a&token={shown}", {}),
        ):
            body = bare_webrtc.stun.description("cLnT", "aClientsPasswordOf22++")
            request(node.http, "POST", path, body, headers={**offer, **headers})
        for streamid in (
            f"#!::r=live/a,token={shown}",
            f"#!::r=live/a,m=publish,token={shown}",
            f"live/a?token={shown}",
            f"#!::h=a.org,r=/live/a?token={shown}",
        ):
            try:
                srt.Caller("127.0.0.1", self.ports["srt"], streamid, timeout=1000).close()
            except (srt.Refused, OSError):
                pass  # what it says is no matter
        for url in (f"/live/a?token={shown}", f"/live/a?x=1&token={shown}/trackID=1"):
            at = f"rtsp://127.0.0.1:{self.ports['rtsp']}{url}"
            self.scene.run("ffprobe", ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", at], SECONDS)


if __name__ == "__main__":
    scene.main()
