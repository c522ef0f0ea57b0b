"""The clients people have, and all the names a stream can be called by."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import Weir
from support.origin import Origin
from support.scene import SLOWNESS, wait_until

VHOST = "tv.example"


def size_of(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


class Clients(scene.SceneTest):
    def setUp(self):
        self.clip = media.encode_clip(self.scene)
        self.crowd = Crowd(self.scene)

    def chain(self):
        self.origin = Origin(self.scene, live="meta copy;")
        self.proxy = Weir(self.scene, "proxy", upstreams={"origin": {"rtmp": self.origin.rtmp}})
        self.edge = Weir(self.scene, "edge", upstreams={"proxy": {"rtmp": self.proxy.rtmp}})

    def test_ffmpeg_encodes_and_ffprobe_ffmpeg_rtmpdump_play(self):
        self.chain()
        encoder = self.scene.start(
            "encoder",
            [
                *media.FFMPEG,
                "-re",
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=320x180:rate=25",
                "-re",
                "-f",
                "lavfi",
                "-i",
                "sine=sample_rate=44100",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-threads",
                "1",
                "-pix_fmt",
                "yuv420p",
                "-g",
                "25",
                "-c:a",
                "aac",
                "-f",
                "flv",
                self.proxy.rtmp_url("a"),
            ],
        )
        wait_until(lambda: "a" in self.origin.published(), "the stream is published", 10 * SLOWNESS)
        urls = {
            "proxy rtmp": self.proxy.rtmp_url("a"),
            "edge rtmp": self.edge.rtmp_url("a"),
            "edge flv": self.edge.flv_url("a"),
        }
        for what, url in urls.items():
            with self.subTest(f"ffprobe, {what}"):
                streams, log = media.probe(self.scene, url, 20 * SLOWNESS)
                self.assertEqual({"video", "audio"}, set(streams), log)
                self.assertEqual((320, 180), (streams["video"]["width"], streams["video"]["height"]))
            with self.subTest(f"ffmpeg, {what}"):
                status, log = self.scene.run(
                    "player", [*media.FFMPEG, "-i", url, "-t", "2", "-f", "null", "-"], 20 * SLOWNESS
                )
                self.assertEqual(0, status, log)
                self.assertNotIn("error", log.lower())
            if "rtmp" in what:
                with self.subTest(f"rtmpdump, {what}"):
                    file = self.scene.path("dump.flv")
                    player = self.scene.start(
                        "rtmpdump", ["rtmpdump", "--live", "--rtmp", url, "--flv", file]
                    )
                    wait_until(
                        lambda: not player.running() or size_of(file) > 150_000,
                        lambda: player.text()[-500:],
                        20 * SLOWNESS,
                    )
                    self.assertTrue(player.running(), player.text()[-500:])
                    player.signal(signal.SIGINT)
                    player.wait(10 * SLOWNESS)
                    self.assertGreater(len(media.frame_sums(self.scene, file)), 25)
        self.assertTrue(encoder.running())

    def test_what_a_publisher_encodes_that_has_no_sound_or_no_picture_plays(self):
        self.chain()
        for name, removed in (("mute", "-an"), ("blind", "-vn")):
            self.scene.start(
                f"publisher-{name}",
                [
                    *media.FFMPEG,
                    "-re",
                    "-stream_loop",
                    "-1",
                    "-i",
                    self.clip,
                    removed,
                    "-c",
                    "copy",
                    "-f",
                    "flv",
                    self.proxy.rtmp_url(name),
                ],
            )
            wait_until(lambda: name in self.origin.published(), f"{name} is published", 10 * SLOWNESS)
            for make in (
                lambda: RtmpViewer("127.0.0.1", self.edge.rtmp, "live", name),
                lambda: FlvViewer("127.0.0.1", self.edge.http, f"/live/{name}.flv"),
            ):
                viewer = self.crowd.add(make())
                with self.subTest(f"{name}: {type(viewer).__name__}"):
                    wait_until(
                        lambda: len(viewer.frames) + len(viewer.audio) > 40, viewer.describe, 15 * SLOWNESS
                    )
                    self.assertEqual(name == "blind", not viewer.frames)
                    self.assertEqual(name == "mute", not viewer.audio)
            for url in (self.edge.rtmp_url(name), self.edge.flv_url(name)):
                with self.subTest(f"ffprobe: {url}"):
                    # A file header that promises sound keeps ffmpeg waiting for it: a minute and a half.
                    streams, log = media.probe(self.scene, url, 20 * SLOWNESS)
                    self.assertEqual({"audio" if name == "blind" else "video"}, set(streams), log)

    def test_every_way_to_name_a_stream_is_one_stream(self):
        edge = Weir(self.scene, "edge", options={"edge.start_timeout": "1s"})
        port, address = edge.rtmp, "127.0.0.1"
        publishers = {  # where it goes: title by which viewers recognise it
            f"rtmp://{address}:{port}/live/a?token=secret": "default",
            f"rtmp://{address}:{port}/live?vhost={VHOST}/a": "vhost",
        }
        for url, title in publishers.items():
            media.publish(self.scene, self.clip, url, name=f"publisher-{title}", title=title)

        def by_rtmp(app, stream, host=None):
            connect = {"tcUrl": f"rtmp://{host}/{app}"} if host else None
            return RtmpViewer(address, port, app, stream, connect=connect)

        def by_http(path, host=None):
            viewer = FlvViewer(address, edge.http, path)
            if host:
                viewer.out[:] = viewer.out.replace(
                    f"Host: {address}:{edge.http}".encode(), f"Host: {host}".encode()
                )
            return viewer

        names = {
            "default": {
                "rtmp": by_rtmp("live", "a"),
                "rtmp, arguments": by_rtmp("live", "a?token=other"),
                "rtmp, localhost": by_rtmp("live", "a", "localhost"),
                "http": by_http("/live/a.flv"),
                "http, arguments": by_http("/live/a.flv?token=other"),
            },
            "vhost": {
                "rtmp, vhost of the app": by_rtmp(f"live?vhost={VHOST}", "a"),
                "rtmp, vhost of the stream": by_rtmp("live", f"a?vhost={VHOST}"),
                "rtmp, domain": by_rtmp("live", f"a?x=1&domain={VHOST}"),
                "rtmp, host": by_rtmp("live", "a", VHOST),
                "rtmp, host and port": by_rtmp("live", "a", f"{VHOST}:1935"),
                "http, host": by_http("/live/a.flv", VHOST),
                "http, host and port": by_http("/live/a.flv", f"{VHOST}:8080"),
                "http, vhost": by_http(f"/live/a.flv?vhost={VHOST}"),
            },
        }
        for viewers in names.values():
            self.crowd.add(*viewers.values())
        for title, viewers in names.items():
            for what, viewer in viewers.items():
                with self.subTest(f"{title}: {what}"):
                    wait_until(lambda: viewer.playing(5), viewer.describe, 5 * SLOWNESS)
                    self.assertIn(title, [data.get("title") for data in viewer.metadata])
        other = self.crowd.add(by_http("/live/a.flv?vhost=other.example"))
        wait_until(other.refused, other.describe, 5 * SLOWNESS)

    def test_ipv6_and_ipv4_name_the_same_stream(self):
        edge = Weir(self.scene, "edge", host="::")
        media.publish(self.scene, self.clip, f"rtmp://[::1]:{edge.rtmp}/live/a")
        viewers = [
            self.crowd.add(make(host))
            for host in ("::1", "127.0.0.1")
            for make in (
                lambda host: RtmpViewer(host, edge.rtmp, "live", "a"),
                lambda host: FlvViewer(host, edge.http, "/live/a.flv"),
            )
        ]
        wait_until(
            lambda: all(v.playing(5) for v in viewers), lambda: [v.describe() for v in viewers], 10 * SLOWNESS
        )
        streams, log = media.probe(self.scene, f"rtmp://[::1]:{edge.rtmp}/live/a", 20 * SLOWNESS)
        self.assertIn("video", streams, log)

    def test_arguments_travel_upstream(self):
        self.chain()
        publisher = media.publish(self.scene, self.clip, self.proxy.rtmp_url("a?token=publish"))
        wait_until(lambda: "a" in self.origin.published(), "the stream is published", 10 * SLOWNESS)
        direct = self.crowd.add(RtmpViewer("127.0.0.1", self.proxy.rtmp, "live", "a?token=play"))
        pulled = self.crowd.add(FlvViewer("127.0.0.1", self.edge.http, "/live/a.flv?token=edge"))
        wait_until(
            lambda: direct.playing(1) and pulled.playing(1),
            lambda: [direct.describe(), pulled.describe()],
            10 * SLOWNESS,
        )
        publisher.kill()
        self.crowd.drop(direct, pulled)
        self.edge.process.stop()
        log = os.path.join(self.origin.directory, "rtmp.log")

        def logged():
            with open(log) as file:
                text = file.read()
            return all(f"token={who}" in text for who in ("publish", "play", "edge"))

        wait_until(logged, lambda: open(log).read(), 5 * SLOWNESS)


if __name__ == "__main__":
    scene.main()
