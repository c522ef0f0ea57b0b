"""Who may publish and play: addresses, signed URLs, tokens, callbacks, limits, and an edge that asks upstream."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene, srt
from support.certificates import Certificates
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir, request
from support.origin import Origin
from support.permits import KEY, SECRET, base64url, key_set, signed, token
from support.scene import SLOWNESS, free_port, wait_until
from support.scripted_origin import ScriptedOrigin
from support.session import Session

SECONDS = 15 * SLOWNESS
RTSP_SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "support", "rtsp_server.py")
FLV = {"edge": 200, "proxy": 404}  # what who is let in gets: the origin itself has no FLV over HTTP


class HookServer(ScriptedOrigin):
    """Remembers what it is told; says no to clients whose `param` has no=..."""

    def __init__(self, scene, certificate=None):
        self.events = []
        self.connections = set()
        self.scheme = "http" if certificate is None else "https"
        super().__init__(scene, self._hear, certificate)

    def _hear(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.events.append(body)
        self.connections.add(handler.client_address)
        code = 1 if "no=" in body.get("param", "") else 0
        handler.give(json.dumps({"code": code}).encode(), Content_Type="application/json")

    def options(self):
        names = ("on_connect", "on_close", "on_publish", "on_unpublish", "on_play", "on_stop")
        return {f"access.hook.{name}": f"{self.scheme}://127.0.0.1:{self.http}/api/v1/{name}" for name in names}

    def actions(self, **of):
        return [e["action"] for e in list(self.events) if all(e.get(k) == v for k, v in of.items())]


class AccessTest(scene.SceneTest):
    def setUp(self):
        self.crowd = Crowd(self.scene)
        self.clip = media.encode_clip(self.scene)

    def rtmp(self, node, stream, code, publish=False, app="live"):
        return Session(self.scene, "127.0.0.1", node.rtmp, app, stream, publish=publish).code(code, SECONDS)

    def publishes(self, node, stream):
        """ffmpeg publishes there, and goes on doing so."""
        publisher = media.publish(self.scene, self.clip, node.rtmp_url(stream))
        return publisher

    def status(self, node, path, **headers):
        return request(node.http, "GET", path, headers=headers)[0]

    def curl(self, node, path, *more):
        """The status that curl gets, which leaves a stream at its first bytes: they find no room."""
        url = f"http://127.0.0.1:{node.http}{path}"
        words = ["curl", "-s", "-m", "9", "-o", "/dev/full", "-w", "%{http_code}", *more, url]
        return int(self.scene.run("curl", words, SECONDS)[1])

    def plays(self, url):
        streams, log = media.probe(self.scene, url, SECONDS)
        self.assertIn("video", streams, log)

    def stays_secret(self, node, *secrets):
        for secret in secrets:
            self.assertNotIn(secret, node.log())
            for page in ("/metrics", "/api/v1/clients/", "/api/v1/streams/"):
                self.assertNotIn(secret.encode(), request(node.system, "GET", page)[2], page)

    def test_addresses_are_let_in_or_kept_out_in_both_roles(self):
        for role in ("edge", "proxy"):
            origin = Origin(self.scene, f"origin-{role}")
            node = Weir(
                self.scene,
                role,
                upstreams={"origin": origin.as_upstream()},
                options={"access.publish.deny": "loopback", "access.play.allow": "192.0.2.0/24"},
            )
            with self.subTest(role):
                status, words = self.scene.run(
                    "ffmpeg",
                    [*media.FFMPEG, "-i", self.clip, "-c", "copy", "-f", "flv", node.rtmp_url("a")],
                    SECONDS,
                )
                self.assertNotEqual(0, status, words)
                self.rtmp(node, "a", "NetStream.Publish.Denied", publish=True)
                self.rtmp(node, "a", "NetStream.Play.Failed")
                for path in ("/live/a.flv", "/live/a.ts", "/live/a.m3u8"):
                    self.assertEqual(403, self.status(node, path), path)
                self.assertEqual(6, node.metric("weir_access_refused_total", 'reason="address"'))

    def test_signed_urls_open_a_stream_in_every_protocol_and_nothing_else(self):
        origin = Origin(self.scene, segments=True)
        rules = {
            "access.publish.require": "signature",
            "access.play.require": "signature",
            "access.sign.secret": SECRET,
            "access.sign.previous": "what was used before it",
        }
        nodes = [
            Weir(self.scene, role, upstreams={"origin": origin.as_upstream()}, options=rules)
            for role in ("proxy", "edge")
        ]
        publish = signed("/live/cam", "publish")
        self.rtmp(nodes[0], "cam", "NetStream.Publish.Denied", publish=True)
        publisher = self.publishes(nodes[0], f"cam?{publish}")
        wait_until(lambda: "cam" in origin.published(), "the stream is published", SECONDS)
        playlist = os.path.join(origin.directory, "hls", "live", "cam.m3u8")
        wait_until(lambda: os.path.exists(playlist), "there is a playlist", SECONDS)
        play = signed("/live/cam")
        for node in nodes:
            with self.subTest(node.role):
                self.rtmp(node, "cam", "NetStream.Play.Failed")
                self.assertEqual(401, self.curl(node, "/live/cam.flv"))
                self.assertEqual(401, self.curl(node, "/live/cam-0.ts"))
                self.assertEqual(403, self.curl(node, f"/live/cam.flv?{publish}"))
                self.assertEqual(403, self.curl(node, f"/live/other.flv?{play}"))
                self.assertEqual(403, self.curl(node, f"/live/cam.m3u8?{signed('/live/cam', seconds=-1)}"))
                self.assertEqual(FLV[node.role], self.curl(node, f"/live/cam.flv?{play}"))
                old = signed("/live/cam", secret="what was used before it")
                self.assertEqual(FLV[node.role], self.curl(node, f"/live/cam.flv?{old}"))
                self.plays(node.rtmp_url(f"cam?{play}"))
                if node.role == "edge":
                    self.plays(f"{node.flv_url('cam')}?{play}")
                # The segments beside a playlist come without its arguments.
                self.plays(f"http://127.0.0.1:{node.http}/live/cam.m3u8?{play}")
                self.assertGreater(node.metric("weir_access_refused_total", 'reason="no_token"'), 1)
                self.assertEqual(1, node.metric("weir_access_refused_total", 'reason="expired"'))
                self.stays_secret(node, play.split("sig=")[1], publish.split("sig=")[1], SECRET)
        self.assertTrue(publisher.running(), publisher.text())

    def test_tokens_are_verified_with_keys_that_change(self):
        keys = self.scene.path("keys.json")

        def write(**secrets):
            with open(keys + ".new", "w") as file:
                file.write(key_set(**secrets))
            os.replace(keys + ".new", keys)

        write(a=KEY)
        node = Weir(
            self.scene,
            "edge",
            options={
                "access.publish.require": "jwt",
                "access.play.require": "jwt",
                "access.jwt.keys": keys,
                "access.jwt.audience": "weir",
                "edge.start_timeout": "2s",
            },
        )
        publish = token(aud="weir", stream="/live/*", action="publish")
        play = token(aud="weir", stream="/live/cam")
        self.rtmp(node, f"cam?token={play}", "NetStream.Publish.Denied", publish=True)
        publisher = self.publishes(node, f"cam?token={publish}")
        wait_until(lambda: self.curl(node, f"/live/cam.flv?token={play}") == 200, "it plays", SECONDS)
        self.plays(node.rtmp_url(f"cam?token={play}"))
        bearer = ["-H", f"Authorization: Bearer {play}"]
        self.assertEqual(200, self.curl(node, "/live/cam.flv", *bearer))
        status, headers, _ = request(node.http, "GET", "/live/cam.flv")
        self.assertEqual((401, 'Bearer realm="weir"'), (status, headers.get("WWW-Authenticate")))
        self.assertEqual(403, self.curl(node, f"/live/cam.flv?token={token(aud='weir', stream='/a/*')}"))
        self.assertEqual(403, self.curl(node, f"/live/cam.flv?token={token(stream='/live/cam')}"))
        self.assertEqual(403, self.curl(node, f"/live/cam.flv?token={token(aud='weir', stream='*', exp=1)}"))
        head = base64url(b'{"alg":"none"}')
        self.assertEqual(403, self.curl(node, f"/live/cam.flv?token={head}.{play.split('.')[1]}."))
        other = b"f" * 32
        write(b=other)
        fresh = token(other, "b", aud="weir", stream="/live/cam")
        wait_until(lambda: self.curl(node, f"/live/cam.flv?token={fresh}") == 200, "the new key", SECONDS)
        self.assertEqual(403, self.curl(node, f"/live/cam.flv?token={play}"))
        with open(keys, "w") as file:
            file.write("nonsense")
        wait_until(lambda: "keys of tokens are not replaced" in node.log(), "the log says so", SECONDS)
        self.assertEqual(200, self.curl(node, f"/live/cam.flv?token={fresh}"))
        self.assertTrue(publisher.running(), publisher.text())
        self.stays_secret(node, play, publish, fresh)

    def test_callbacks_are_asked_and_told_as_srs_does(self):
        origin = Origin(self.scene)
        for role in ("edge", "proxy"):
            with self.subTest(role):
                hooks = HookServer(self.scene)
                node = Weir(
                    self.scene, role, upstreams={"origin": origin.as_upstream()}, options=hooks.options()
                )
                self.rtmp(node, f"{role}?no=1", "NetStream.Publish.Denied", publish=True)
                publisher = self.publishes(node, f"{role}?token=secret-of-mine")
                wait_until(lambda: role in origin.published(), "it is published", SECONDS)
                self.plays(node.rtmp_url(f"{role}?a=b"))
                self.assertEqual(403, self.curl(node, f"/live/{role}.flv?no=1"))
                self.assertEqual(FLV[role], self.curl(node, f"/live/{role}.flv"))
                publisher.stop()
                wait_until(lambda: hooks.actions(action="on_unpublish"), hooks.actions, SECONDS)
                wait_until(lambda: len(hooks.actions(action="on_stop")) == 2, hooks.actions, SECONDS)
                wait_until(lambda: len(hooks.actions(action="on_close")) == 5, hooks.actions, SECONDS)
                (published,) = [e for e in hooks.events if e.get("param") == "?token=secret-of-mine"][:1]
                self.assertEqual("on_publish", published["action"])
                expected = {
                    "server_id": role,
                    "ip": "127.0.0.1",
                    "vhost": "__defaultVhost__",
                    "app": "live",
                    "stream": role,
                    "tcUrl": node.rtmp_url("")[:-1],
                    "stream_url": f"/live/{role}",
                }
                self.assertEqual(expected, {key: published[key] for key in expected})
                mine = hooks.actions(client_id=published["client_id"])
                self.assertEqual(["on_connect", "on_publish", "on_unpublish", "on_close"], mine)
                closed = [e for e in hooks.events if e["action"] == "on_close"]
                self.assertTrue(any(e["recv_bytes"] > 10_000 for e in closed), closed)
                self.assertTrue(any(e["send_bytes"] > 10_000 for e in closed), closed)
                self.stays_secret(node, "secret-of-mine")
                self.assertEqual(2, node.metric("weir_access_refused_total", 'reason="hook"'))

    def test_callbacks_over_tls_are_asked_when_they_can_prove_who_they_are(self):
        papers = Certificates(self.scene)
        hooks = HookServer(self.scene, papers.server)
        options = {"edge.start_timeout": "1s", **hooks.options()}
        node = Weir(self.scene, "edge", "trusts", options={**options, "access.hook.tls_ca": papers.ca})
        publisher = self.publishes(node, "cam?token=x")
        wait_until(lambda: self.curl(node, "/live/cam.flv") == 200, "it plays", SECONDS)
        self.assertEqual(403, self.curl(node, "/live/cam.flv?no=1"))
        self.assertEqual(1, len(hooks.actions(action="on_publish", param="?token=x")))
        asked = len(hooks.connections)
        for _ in range(8):
            self.assertEqual(403, self.curl(node, "/live/cam.flv?no=1"))
        self.assertLessEqual(len(hooks.connections), asked + 2, "connections are used again")
        publisher.stop()
        wait_until(lambda: hooks.actions(action="on_unpublish"), hooks.actions, SECONDS)
        heard = len(hooks.events)
        stranger = Weir(self.scene, "edge", "doubts", options=options)
        self.assertEqual(503, self.curl(stranger, "/live/cam.flv"))
        self.assertEqual(1, stranger.metric("weir_access_refused_total", 'reason="hook_down"'))
        self.assertIn("certificate verify failed", stranger.log())
        self.assertEqual([], [e for e in hooks.events[heard:] if e["server_id"] == "doubts"])

    def test_without_its_callback_a_node_refuses_and_with_when_down_it_allows(self):
        options = {"access.hook.on_play": f"http://127.0.0.1:{free_port()}/", "edge.start_timeout": "1s"}
        strict = Weir(self.scene, "edge", "strict", options=options)
        self.assertEqual(503, self.curl(strict, "/live/cam.flv"))
        self.rtmp(strict, "cam", "NetStream.Play.Failed")
        lenient = Weir(self.scene, "edge", "lenient", options={**options, "access.hook.when_down": "allow"})
        self.assertEqual(404, self.curl(lenient, "/live/cam.flv"))
        self.assertEqual(2, strict.metric("weir_access_refused_total", 'reason="hook_down"'))

    def test_an_edge_asks_upstream_before_it_serves_what_it_has(self):
        origin = Origin(self.scene, segments=True)
        rules = {"access.play.require": "signature", "access.sign.secret": SECRET}
        proxy = Weir(self.scene, "proxy", upstreams={"origin": origin.as_upstream()}, options=rules)
        edge = Weir(
            self.scene,
            "edge",
            upstreams={"proxy": proxy.as_upstream()},
            options={"access.traverse": "on", "edge.start_timeout": "5s"},
        )
        publisher = self.publishes(proxy, "cam")
        wait_until(lambda: "cam" in origin.published(), "the stream is published", SECONDS)
        playlist = os.path.join(origin.directory, "hls", "live", "cam.m3u8")
        wait_until(lambda: os.path.exists(playlist), "there is a playlist", SECONDS)
        play = signed("/live/cam")
        first = self.crowd.add(RtmpViewer("127.0.0.1", edge.rtmp, "live", f"cam?{play}"))
        wait_until(lambda: first.playing(5), first.describe, SECONDS)
        # The stream is here, and yet:
        self.rtmp(edge, "cam", "NetStream.Play.Failed")
        self.assertEqual(403, self.curl(edge, "/live/cam.flv"))
        self.assertEqual(403, self.curl(edge, f"/live/cam.flv?{signed('/live/other')}"))
        second = self.crowd.add(FlvViewer("127.0.0.1", edge.http, f"/live/cam.flv?{play}"))
        wait_until(lambda: second.playing(5), second.describe, SECONDS)
        self.plays(f"http://127.0.0.1:{edge.http}/live/cam.m3u8?{play}")
        self.assertEqual(403, self.curl(edge, "/live/cam.m3u8"))
        self.assertTrue(publisher.running(), publisher.text())
        proxy.process.kill()
        self.assertEqual(503, self.curl(edge, f"/live/cam.flv?{signed('/live/cam', seconds=601)}"))

    def test_viewers_of_a_stream_and_the_rate_of_a_publisher_are_limited(self):
        node = Weir(
            self.scene,
            "edge",
            options={
                "limits.viewers_per_stream": "2",
                "limits.publish_bitrate": "100",
                "limits.publish_patience": "3s",
            },
        )
        publisher = self.publishes(node, "a")
        viewers = [
            self.crowd.add(RtmpViewer("127.0.0.1", node.rtmp, "live", "a")),
            self.crowd.add(FlvViewer("127.0.0.1", node.http, "/live/a.flv")),
        ]
        wait_until(lambda: all(v.playing(5) for v in viewers), "both play", SECONDS)
        self.rtmp(node, "a", "NetStream.Play.Failed")
        self.assertEqual(503, self.curl(node, "/live/a.flv"))
        self.crowd.drop(viewers[1])
        wait_until(lambda: self.curl(node, "/live/a.flv") == 200, "there is room again", SECONDS)
        wait_until(lambda: not publisher.running(), "the publisher was too fast", SECONDS)
        self.assertIn("publisher sends", node.log())
        self.assertEqual(1, node.metric("weir_access_refused_total", 'reason="bitrate"'))

    def test_srt_rtsp_and_webrtc_are_refused_in_their_own_words(self):
        ports = {name: free_port() for name in ("srt", "rtsp", "webrtc")}
        origin = free_port()
        rtsp = self.scene.start("rtsp-origin", [RTSP_SERVER, "--port", origin])
        wait_until(lambda: scene.accepts(origin), "the origin listens", SECONDS)
        play = signed("/live/cam")
        node = Weir(
            self.scene,
            "proxy",
            upstreams={"o": {"srt": free_port(), "rtsp": origin, "http": free_port()}},
            options={
                **{f"listen.{name}": f"127.0.0.1:{port}" for name, port in ports.items()},
                "access.publish.require": "signature",
                "access.play.require": "signature",
                "access.sign.secret": SECRET,
                "health.check": "off",
            },
        )
        for streamid, code in (
            ("#!::r=live/cam,m=publish", 1401),
            (f"#!::r=live/cam,m=publish,{play.replace('&', ',')}", 1403),
            ("live/cam?expires=1&sig=2", 1403),
            (f"#!::r=live/cam,{play.replace('&', ',')}", 3),  # no origin listens
            (f"live/cam?{play}", 3),
        ):
            with self.subTest(streamid), self.assertRaises(srt.Refused) as refused:
                srt.Caller("127.0.0.1", ports["srt"], streamid)
            self.assertEqual(code, refused.exception.code, streamid)
        at = f"rtsp://127.0.0.1:{ports['rtsp']}/live/cam"
        probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-rtsp_transport", "tcp"]
        for arguments, words in ((f"?{signed('/live/a')}", "403 Forbidden"), ("", "401 Unauthorized")):
            self.assertIn(words, self.scene.run("ffprobe", [*probe, at + arguments], SECONDS)[1])
        publish = [
            *media.FFMPEG,
            "-re",
            "-stream_loop",
            "-1",
            "-i",
            self.clip,
            "-an",
            "-c",
            "copy",
            "-f",
            "rtsp",
        ]
        refused = [*publish, "-rtsp_transport", "tcp", f"{at}?{play}"]
        self.assertNotEqual(0, self.scene.run("publisher", refused, SECONDS)[0])
        allowed = f"{at}?{signed('/live/cam', 'publish')}"
        publisher = self.scene.start("publisher", [*publish, "-rtsp_transport", "tcp", allowed])
        wait_until(lambda: "publish /live/cam" in rtsp.text(), "it is published over RTSP", SECONDS)
        # Who is let in is answered by the origin, which has nothing under a name with arguments.
        publisher.wait(SECONDS)
        self.assertIn("404 Not Found", self.scene.run("ffprobe", [*probe, f"{at}?{play}"], SECONDS)[1])
        offer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
        offer += "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=sendonly\r\n"
        sdp = {"Content-Type": "application/sdp"}
        for path in ("/whip/live/cam", "/live/cam", f"/rtc/v1/whip/?app=live&stream=cam&{play}"):
            status, headers, body = request(node.http, "POST", path, offer, headers=sdp)
            self.assertEqual(403 if "sig" in path else 401, status, body)
            self.assertEqual("application/problem+json", headers["Content-Type"])
        # Who is let in is told that no origin listens.
        status = request(node.http, "POST", f"/whep/live/cam?{play}", offer, headers=sdp)[0]
        self.assertIn(status, (502, 503))
        self.stays_secret(node, play.split("sig=")[1])


if __name__ == "__main__":
    scene.main()
