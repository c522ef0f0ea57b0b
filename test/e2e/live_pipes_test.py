"""MPEG-TS, WebSocket and bare audio: the same frames from the same pull, in every container an edge writes."""

import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import enhanced, media, scene, websocket
from support.live import LivePipe
from support.node import Weir, request
from support.scene import SLOWNESS, wait_until
from support.session import Session

SECONDS = 6
TS_PACKET = 188


class LivePipes(scene.SceneTest):
    def edge(self, name="edge", **more):
        options = {"edge.gone_timeout": "1s", "edge.source_timeout": "1s", "edge.start_timeout": "2s"}
        return Weir(self.scene, "edge", name=name, options=options, **more)

    def pipe(self, edge, path, **options):
        return LivePipe(self.scene, edge.http, f"/live/{path}", **options)

    def collect(self, pipes):
        """Reads them all to the end of their stream."""
        threads = [
            threading.Thread(target=pipe.read, kwargs={"seconds": 40 * SLOWNESS}) for pipe in pipes.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, pipe in pipes.items():
            self.assertTrue(pipe.ended, f"{name} goes on after the end")

    def keep(self, name, body):
        path = self.scene.path(name)
        with open(path, "wb") as file:
            file.write(body)
        return path

    def assert_run(self, source, got, what, least):
        """`got` is a run of the source's frames without a gap."""
        self.assertGreater(len(got), least, what)
        self.assertIn(got[0], source, what)
        first = source.index(got[0])
        self.assertEqual(source[first : first + len(got)], got, f"{what}: frames differ after number {first}")

    def assert_clean(self, path, kinds):
        """ffprobe and ffmpeg find what there should be, and nothing to remark on."""
        streams, log = media.probe(self.scene, path, 20 * SLOWNESS, options=["-v", "warning"])
        self.assertEqual(kinds, {kind: stream["codec_name"] for kind, stream in streams.items()}, log)
        status, log = self.scene.run("decode", [*media.FFMPEG, "-i", path, "-f", "null", "-"], 30 * SLOWNESS)
        # Of a file without times, which bare audio is.
        remarks = [line for line in log.splitlines() if "Estimating duration from bitrate" not in line]
        self.assertEqual((0, []), (status, remarks))

    def test_every_format_carries_the_frames_that_were_published(self):
        clip = media.encode_clip(self.scene, seconds=SECONDS, b_frames=2)
        pictures, sound = media.frame_sums(self.scene, clip), media.frame_sums(self.scene, clip, "a")
        above = self.edge("above")
        edge = self.edge(upstreams={"above": above.as_upstream()})
        publisher = media.publish(self.scene, clip, above.rtmp_url("a"), loop=False)
        wait_until(lambda: above.metric("weir_publishers") == 1, "the stream is published")
        pipes = {
            "flv": self.pipe(edge, "a.flv"),
            "ts": self.pipe(edge, "a.ts"),
            "aac": self.pipe(edge, "a.aac"),
            "ws-flv": self.pipe(edge, "a.flv", upgrade=True),
            "ws-ts": self.pipe(edge, "a.ts?token=x", upgrade=True),
        }
        types = {"flv": "video/x-flv", "ts": "video/mp2t", "aac": "audio/aac"}
        for name, pipe in pipes.items():
            if name in types:
                self.assertEqual((200, types[name]), (pipe.status, pipe.headers["content-type"]))
            else:
                self.assertEqual(101, pipe.status)
                self.assertEqual(websocket.accept_of(pipe.key), pipe.headers["sec-websocket-accept"])
        for name in pipes:
            self.assertEqual(1, edge.metric("weir_viewers", f'protocol="{name}"'), name)
        self.assertEqual(1, edge.metric("weir_pulls_total"))
        self.collect(pipes)
        self.assertEqual(0, publisher.returncode())
        for name, pipe in pipes.items():
            with self.subTest(name):
                path = self.keep(f"{name}.{name.removeprefix('ws-')}", pipe.body)
                both = {"video": "h264", "audio": "aac"}
                self.assert_clean(path, {"audio": "aac"} if name == "aac" else both)
                if name != "aac":
                    self.assert_run(pictures, media.frame_sums(self.scene, path), name, 50)
                # What a decoder makes of its first frame depends on the one before.
                self.assert_run(sound, media.frame_sums(self.scene, path, "a")[1:], name, 80)
                if name.startswith("ws-"):
                    self.assertEqual([(websocket.CLOSE, b"\x03\xe8")], pipe.control)
                    self.assertGreater(pipe.messages, 100)

    def test_hevc_and_opus_of_enhanced_rtmp_play_from_ts(self):
        hevc, opus = enhanced.encode_hevc(self.scene, 4), enhanced.encode_opus(self.scene, 4)
        tags = enhanced.merged(enhanced.hevc_tags(hevc), enhanced.opus_tags(opus))
        edge = self.edge()
        publisher = Session(self.scene, "127.0.0.1", edge.rtmp, "live", "a", publish=True)
        publisher.until(publisher.permitted, "it may publish")
        publisher.send_clip(tags, 1)
        pipe = self.pipe(edge, "a.ts")
        publisher.send_clip([(kind, stamp - 1000, body) for kind, stamp, body in tags if stamp > 1000], 4)
        publisher.socket.close()
        self.collect({"ts": pipe})
        path = self.keep("hevc.ts", pipe.body)
        self.assert_clean(path, {"video": "hevc", "audio": "opus"})
        self.assert_run(media.frame_sums(self.scene, hevc), media.frame_sums(self.scene, path), "hevc", 60)
        self.assertGreater(len(media.frame_sums(self.scene, path, "a")), 100)

    def test_mp3_plays_bare_and_from_ts(self):
        edge = self.edge()
        source = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-t", "4"]
        codec = ["-c:a", "libmp3lame", "-f", "flv", edge.rtmp_url("a")]
        self.scene.start("publisher", [*media.FFMPEG, *source, *codec])
        wait_until(lambda: edge.metric("weir_publishers") == 1, "the stream is published")
        pipes = {"mp3": self.pipe(edge, "a.mp3"), "ts": self.pipe(edge, "a.ts")}
        self.assertEqual("audio/mpeg", pipes["mp3"].headers["content-type"])
        self.assertEqual(404, self.pipe(edge, "a.aac").status, "there is no AAC in it")
        self.collect(pipes)
        for name, pipe in pipes.items():
            path = self.keep(f"sound.{name}", pipe.body)
            self.assert_clean(path, {"audio": "mp3"})
            self.assertGreater(len(media.frame_sums(self.scene, path, "a")), 60)

    def test_a_viewer_of_ts_that_jumps_plays_on_without_an_error(self):
        clip = media.encode_clip(self.scene, seconds=10)
        edge = self.edge()
        media.publish(self.scene, clip, edge.rtmp_url("a"))
        wait_until(lambda: edge.metric("weir_publishers") == 1, "the stream is published")
        # Over WebSocket it is known where a message of the log ends, which is where viewers jump from.
        slow = self.pipe(edge, "a.ts", upgrade=True)
        self.assertTrue(slow.read(lambda: slow.messages > 60))
        before, count = bytes(slow.body), slow.messages
        self.assertEqual(0, len(before) % TS_PACKET)
        self.assertTrue(slow.read(lambda: slow.messages > count + 100))  # a keyframe has passed
        later = self.pipe(edge, "a.ts", upgrade=True)
        self.assertTrue(later.read(lambda: later.messages > 150))
        path = self.keep("jump.ts", before + later.body)
        self.assert_clean(path, {"video": "h264", "audio": "aac"})

    def test_what_is_said_over_a_websocket_is_answered(self):
        clip = media.encode_clip(self.scene, seconds=4)
        edge = self.edge()
        media.publish(self.scene, clip, edge.rtmp_url("a"))
        wait_until(lambda: edge.metric("weir_publishers") == 1, "the stream is published")
        pipe = self.pipe(edge, "a.flv", upgrade=True, headers=["Sec-WebSocket-Protocol: one, two"])
        self.assertEqual("one", pipe.headers["sec-websocket-protocol"])
        pipe.say(websocket.PING, b"still there?")
        self.assertTrue(pipe.read(lambda: pipe.control))
        self.assertEqual([(websocket.PONG, b"still there?")], pipe.control)
        pipe.say(websocket.CLOSE, b"\x03\xe8")
        self.assertTrue(pipe.read())
        self.assertEqual((websocket.CLOSE, b"\x03\xe8"), pipe.control[-1])
        wait_until(lambda: edge.metric("weir_viewers") == 0, "the viewer has gone")

    def test_what_cannot_be_served_is_refused_before_the_upgrade(self):
        edge = self.edge()
        asks = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": websocket.new_key(),
        }

        def ask(path, **changes):
            headers = {key: value for key, value in {**asks, **changes}.items() if value is not None}
            return request(edge.http, "GET", path, headers=headers)

        self.assertEqual(404, ask("/live/nobody.ts")[0])
        self.assertEqual(404, ask("/live/nobody.aac")[0])
        self.assertEqual(400, ask("/live/a.flv", **{"Sec-WebSocket-Key": None})[0])
        self.assertEqual(400, ask("/live/a.flv", **{"Sec-WebSocket-Key": "short"})[0])
        status, headers, _ = ask("/live/a.flv", **{"Sec-WebSocket-Version": "8"})
        self.assertEqual((426, "13"), (status, headers["Sec-WebSocket-Version"]))
        for extension in ("ts", "aac", "mp3"):
            self.assertEqual(404, request(edge.http, "GET", f"/live/nobody.{extension}")[0])


if __name__ == "__main__":
    scene.main()
