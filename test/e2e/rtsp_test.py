"""RTSP through a proxy in front of two origins: players and publishers that nobody here wrote."""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.node import Weir
from support.scene import SLOWNESS, accepts, free_port, wait_until

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "support", "rtsp_server.py")
TOOL_SECONDS = 20
ENDS_SECONDS = 3
KIB = 1024


class RtspServer:
    def __init__(self, scene, name, *arguments):
        self.name, self.port = name, free_port()
        self.process = scene.start(name, [SERVER, "--port", self.port, *arguments])
        wait_until(lambda: accepts(self.port), f"{name} listens", 15 * SLOWNESS)

    def url(self, stream):
        return f"rtsp://127.0.0.1:{self.port}/live/{stream}"

    def has(self, stream):
        """Whether it is published there; what has ended is no matter here."""
        return f"publish /live/{stream}\n" in self.process.text()


class RtspScene(scene.SceneTest):
    def begin(self, *arguments, options=None):
        self.origins = [RtspServer(self.scene, f"origin{i}", *arguments) for i in range(2)]
        self.port = free_port()
        self.weir = Weir(
            self.scene,
            "proxy",
            upstreams={origin.name: {"rtsp": origin.port} for origin in self.origins},
            options={"listen.rtsp": f"127.0.0.1:{self.port}", **(options or {})},
        )

    def url(self, stream, user=""):
        return f"rtsp://{user}127.0.0.1:{self.port}/live/{stream}"

    def publish(self, url, *transport):
        picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-c:v", "libx264"]
        coding = ["-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p"]
        return self.scene.start("publisher", [*media.FFMPEG, *picture, *coding, "-f", "rtsp", *transport, url])

    def origin_of(self, stream):
        def published():
            there = [origin for origin in self.origins if origin.has(stream)]
            return there if there else None

        (origin,) = wait_until(published, f"{stream} is published", 15 * SLOWNESS)
        return origin

    def codec(self, url, *transport):
        """What ffprobe sees there: (exit status, its words)."""
        probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]
        return self.scene.run("ffprobe", [*probe, *transport, url], TOOL_SECONDS * SLOWNESS)

    def plays(self, url, *transport):
        status, words = self.codec(url, *transport)
        self.assertEqual(0, status, words)
        self.assertIn("h264", words)

    def gstreamer_plays(self, url, *properties):
        """Until a second of pictures has been decoded."""
        pipeline = f"rtspsrc location={url} {' '.join(properties)} ! rtph264depay ! h264parse ! avdec_h264"
        words = f"gst-launch-1.0 -q {pipeline} ! identity eos-after=25 ! fakesink".split()
        status, said = self.scene.run("gstreamer", words, TOOL_SECONDS * SLOWNESS)
        self.assertEqual(0, status, said)

    def refused(self):
        return self.weir.metric("weir_rtsp_transports_refused_total")


class Play(RtspScene):
    def test_what_is_published_through_the_proxy_plays_through_it(self):
        self.begin()
        publisher = self.publish(self.url("a"), "-rtsp_transport", "tcp")
        self.origin_of("a")
        self.assertEqual(0, self.refused())
        self.plays(self.url("a"), "-rtsp_transport", "tcp")
        self.assertEqual(0, self.refused())
        # Those who would rather have UDP: ffmpeg and GStreamer ask for it first.
        self.plays(self.url("a"))
        self.assertEqual(1, self.refused())
        self.gstreamer_plays(self.url("a"))
        self.assertGreaterEqual(self.refused(), 2)
        self.assertEqual(1, self.weir.metric("weir_publishers"))
        self.assertTrue(publisher.running(), publisher.text())
        publisher.stop()
        wait_until(lambda: self.weir.metric("weir_publishers") == 0, "the publisher has gone")
        self.assertGreater(self.weir.metric("weir_relayed_bytes_total", 'direction="up",protocol="rtsp"'), 10_000)

    def test_a_publisher_that_would_rather_have_udp_publishes_over_tcp(self):
        self.begin()
        self.publish(self.url("a"))
        self.origin_of("a")
        self.assertEqual(1, self.refused())
        self.plays(self.url("a"), "-rtsp_transport", "tcp")

    def test_a_stream_is_found_at_the_origin_that_has_it(self):
        self.begin()
        for origin, stream in zip(self.origins, "ab"):
            self.publish(origin.url(stream), "-rtsp_transport", "tcp")
        for stream in "ab":
            self.origin_of(stream)
            self.plays(self.url(stream), "-rtsp_transport", "tcp")
        status, words = self.codec(self.url("nowhere"), "-rtsp_transport", "tcp")
        self.assertNotEqual(0, status)
        self.assertIn("404", words)

    def test_a_killed_origin_ends_its_sessions_and_the_next_go_to_the_other(self):
        self.begin()
        publisher = self.publish(self.url("a"), "-rtsp_transport", "tcp")
        origin = self.origin_of("a")
        wait_until(lambda: self.weir.metric("weir_publishers") == 1, "the publisher is there")
        origin.process.kill()
        publisher.wait(ENDS_SECONDS * SLOWNESS)
        self.assertEqual(0, self.weir.metric("weir_publishers"))
        self.publish(self.url("b"), "-rtsp_transport", "tcp")
        self.assertIsNot(origin, self.origin_of("b"))
        self.publish(self.url("a"), "-rtsp_transport", "tcp")
        wait_until(
            lambda: [o for o in self.origins if o is not origin and o.has("a")], "the other has it", 10
        )
        self.plays(self.url("a"), "-rtsp_transport", "tcp")

    def test_digest_is_asked_for_and_checked_by_the_origin(self):
        self.begin("--user", "ann", "--password", "secret")
        right, wrong = "ann:secret@", "ann:guess@"
        self.publish(self.url("a", right), "-rtsp_transport", "tcp")
        self.origin_of("a")
        self.plays(self.url("a", right), "-rtsp_transport", "tcp")
        self.plays(self.url("a", right))
        self.gstreamer_plays(self.url("a"), "user-id=ann", "user-pw=secret")
        for user in (wrong, ""):
            status, words = self.codec(self.url("a", user), "-rtsp_transport", "tcp")
            self.assertNotEqual(0, status)
            self.assertIn("401", words)


class Hostile(RtspScene):
    def answer(self, *pieces, pause=0.0):
        """All that comes back until the proxy ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            heard = b""
            try:
                for piece in pieces:
                    client.sendall(piece)
                    time.sleep(pause)
                while True:
                    came = client.recv(64 * KIB)
                    if not came:
                        return heard
                    heard += came
            except OSError:
                return heard

    def test_what_no_client_would_send_is_refused_and_the_proxy_goes_on(self):
        self.begin(options={"rtsp.request_timeout": "1s"})
        head = b"DESCRIBE rtsp://a/live/x RTSP/1.0\r\nCSeq: 1\r\n"
        for status, text in (
            (b"400", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (b"400", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n"),
            (b"400", b"$\x00\x00\x04abcd"),
            (b"400", b"\r\n" * 10),
            (b"400", head + b"Content-Length: -1\r\n\r\n"),
            (b"400", b"DESCRIBE rtsp://a/live/../x RTSP/1.0\r\n\r\n"),
            (b"413", head + b"Content-Length: 4000000000\r\n\r\n"),
            (b"414", b"DESCRIBE rtsp://a/" + b"x" * 9 * KIB + b" RTSP/1.0\r\n"),
            (b"431", head + b"".join(b"X%d: 1\r\n" % i for i in range(65)) + b"\r\n"),
            (b"431", head + (b"X: " + b"x" * 8000 + b"\r\n") * 5),
            (b"505", b"DESCRIBE rtsp://a/live/x RTSP/9.0\r\n\r\n"),
        ):
            with self.subTest(text=text[:60]):
                self.assertTrue(self.answer(text).startswith(b"RTSP/1.0 " + status), text[:60])
        self.assertTrue(self.answer(head).startswith(b"RTSP/1.0 408"))
        self.assertEqual(b"", self.answer())
        began = time.monotonic()
        self.answer(*[b"A"] * 100, pause=0.05)
        self.assertLess(time.monotonic() - began, 7)
        self.plays(self.url("testsrc"), "-rtsp_transport", "tcp")

    def test_a_thousand_broken_sessions_leave_nothing_behind(self):
        self.begin()
        setup = f"SETUP {self.url('testsrc')}/stream=0 RTSP/1.0\r\nCSeq: 1\r\n".encode()
        texts = [
            setup + b"Transport: RTP/AVP;unicast;client_port=1-2\r\n\r\n",
            setup + b"Transport: " + b"RTP/AVP/TCP," * 500 + b"\r\n\r\n$\x00\xff\xff",
            b"OPTIONS * RTSP/1.0\r\n\r\n" * 50,
            os.urandom(2 * KIB),
        ]

        def storm(count):
            for i in range(count):
                with socket.create_connection(("127.0.0.1", self.port), 10) as client:
                    try:
                        client.sendall(texts[i % len(texts)])
                    except OSError:
                        pass

        def quiet():
            return self.weir.metric("weir_connections") == 0

        storm(200)
        wait_until(quiet, "the first have gone", 15 * SLOWNESS)
        before, descriptors = self.weir.process.rss_bytes(), self.weir.process.descriptors()
        storm(800)
        wait_until(quiet, "all have gone", 15 * SLOWNESS)
        self.assertLess(self.weir.process.rss_bytes() - before, 8 * KIB * KIB * SLOWNESS)
        self.assertLessEqual(self.weir.process.descriptors(), descriptors + 4)
        self.plays(self.url("testsrc"), "-rtsp_transport", "tcp")


if __name__ == "__main__":
    scene.main()
