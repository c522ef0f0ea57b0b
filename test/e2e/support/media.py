"""What is published, and the tools that publish, play and take it apart."""

import json
import threading
import time

FFMPEG = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning"]


def encode_clip(
    scene, name="clip.flv", seconds=10, audio=True, b_frames=0, size="320x180", bitrate=None, gop=25
):
    """testsrc2, in which every frame is different, 25 a second with a keyframe every `gop`, and a tone."""
    path = scene.path(name)
    source = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25"]
    sound = []
    if audio:
        source += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
        sound = ["-c:a", "aac", "-b:a", "64k", "-ac", "1"]
    latency = ["-bf", str(b_frames)] if b_frames else ["-tune", "zerolatency"]
    rate = (
        ["-b:v", bitrate, "-minrate", bitrate, "-maxrate", bitrate, "-bufsize", bitrate, "-nal-hrd", "cbr"]
        if bitrate
        else []
    )
    status, text = scene.run(
        "encode",
        [
            *FFMPEG,
            "-y",
            *source,
            "-t",
            seconds,
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            *latency,
            "-threads",
            "1",
            "-g",
            gop,
            "-keyint_min",
            gop,
            "-sc_threshold",
            "0",
            *rate,
            *sound,
            "-flvflags",
            "no_duration_filesize",
            path,
        ],
        60,
    )
    assert status == 0, text
    return path


def publish(scene, clip, url, name="publisher", loop=True, title=None):
    """ffmpeg sends a clip in real time, without encoding again."""
    return scene.start(
        name,
        [
            *FFMPEG,
            "-re",
            *(["-stream_loop", "-1"] if loop else []),
            "-i",
            clip,
            "-map",
            "0",
            "-c",
            "copy",
            *(["-metadata", f"title={title}"] if title else []),
            "-f",
            "flv",
            "-flvflags",
            "no_duration_filesize",
            url,
        ],
    )


class KeptPublisher:
    """What an encoder in the field does: when its connection ends it connects again."""

    def __init__(self, scene, clip, url, name="publisher", pause=0.2):
        self._scene, self._clip, self._url, self._name, self._pause = scene, clip, url, name, pause
        self._stop, self.starts, self.process = threading.Event(), [], None
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        scene.at_end(self.stop)

    def _keep(self):
        while not self._stop.is_set():
            self.starts.append(time.monotonic())
            self.process = publish(self._scene, self._clip, self._url, self._name)
            while self.process.running() and not self._stop.wait(0.02):
                pass
            self._stop.wait(self._pause)
        if self.process:
            self.process.stop(1)

    def stop(self):
        self._stop.set()
        self._thread.join(10)


def probe(scene, url, seconds=15, options=()):
    """(streams, log) as ffprobe sees them: codec names by type."""
    status, text = scene.run(
        "ffprobe",
        [
            "ffprobe",
            "-v",
            "error",
            *options,
            "-show_entries",
            "stream=codec_type,codec_name,width,height",
            "-of",
            "json",
            url,
        ],
        seconds,
    )
    start = text.find("{")
    if status != 0 or start < 0:
        return {}, text
    streams = json.loads(text[start : text.rfind("}") + 1]).get("streams", [])
    return {s["codec_type"]: s for s in streams if "codec_type" in s}, text


def frame_sums(scene, source, what="v", copy=False, seconds=60):
    """The MD5 of each decoded frame, or of each packet with `copy`, in order."""
    status, text = scene.run(
        "framemd5",
        [
            *FFMPEG,
            "-i",
            source,
            "-map",
            f"0:{what}:0",
            *(["-c", "copy"] if copy else []),
            "-vsync",
            "passthrough",
            "-y",
            "-f",
            "framemd5",
            scene.path("sums"),
        ],
        seconds,
    )
    assert status == 0, text
    with open(scene.path("sums")) as file:
        return [line.split(",")[-1].strip() for line in file if not line.startswith("#")]
