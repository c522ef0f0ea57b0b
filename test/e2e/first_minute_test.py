"""What somebody sees who has just got the binary, and what they see who made a mistake."""

import os
import re
import signal
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer, RtmpViewer
from support.node import BINARY, request, run_weir
from support.scene import SLOWNESS, accepts, alive, free_port, wait_until


def listeners():
    """WEIR_LISTEN_*: every listener on a free port, so that tests overlap."""
    ports = {name: free_port() for name in ("rtmp", "http", "api", "webrtc", "srt", "system")}
    return ports, {f"WEIR_LISTEN_{name.upper()}": f"127.0.0.1:{port}" for name, port in ports.items()}


def marked(marker):
    """The ids of the processes that have `marker` in their environment: children inherit it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if marker.encode() in file.read() and alive(pid):
                    found.append(int(pid))
        except OSError:
            pass
    return found


class FirstMinute(scene.SceneTest):
    def printed(self, process, pattern, seconds=15 * SLOWNESS):
        def find():
            if not process.running():
                raise AssertionError(f"{process.name} ended: {process.text()[-800:]}")
            return re.search(pattern, process.text())

        return wait_until(find, lambda: f"{pattern} is printed in {process.text()[-2000:]}", seconds)

    def test_weir_without_configuration_is_a_small_origin_that_says_how_to_use_it(self):
        ports, env = listeners()
        process = self.scene.start("weir", [BINARY], env=env)
        self.printed(process, rf"rtmp://[\w.\[\]:]+:{ports['rtmp']}/")
        self.printed(process, rf"http://[\w.\[\]:]+:{ports['http']}/")
        wait_until(lambda: accepts(ports["rtmp"]), "it listens", 5)
        clip = media.encode_clip(self.scene)
        media.publish(self.scene, clip, f"rtmp://127.0.0.1:{ports['rtmp']}/live/a")
        crowd = Crowd(self.scene)
        viewers = [
            crowd.add(RtmpViewer("127.0.0.1", ports["rtmp"], "live", "a")),
            crowd.add(FlvViewer("127.0.0.1", ports["http"], "/live/a.flv")),
        ]
        wait_until(
            lambda: all(v.playing(10) for v in viewers),
            lambda: [v.describe() for v in viewers],
            15 * SLOWNESS,
        )
        for page in ("/metrics", "/healthz", "/readyz", "/api/v1/versions"):
            self.assertEqual(200, request(ports["system"], "GET", page)[0], page)
            self.assertEqual(200, request(ports["api"], "GET", page)[0], page)
        # The second signal does not wait for those who watch.
        process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(ports["rtmp"]), "it accepts nobody new", 5 * SLOWNESS)
        process.signal(signal.SIGTERM)
        process.wait(5 * SLOWNESS)

    def test_it_ends_by_a_signal_when_nobody_is_there(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            _, env = listeners()
            process = self.scene.start("weir", [BINARY], env=env)
            self.printed(process, "rtmp://")
            process.signal(number)
            self.assertEqual(0, process.wait(5 * SLOWNESS))

    def demo(self):
        self.marker = f"WEIR_E2E_MARK_{uuid.uuid4().hex}"
        _, env = listeners()
        process = self.scene.start("weir-demo", [BINARY, "demo"], env={**env, self.marker: "1"})
        self.scene.at_end(self.end_marked)
        http = self.printed(process, r"http://\S+\.flv", 30 * SLOWNESS)[0]
        rtmp = re.findall(r"rtmp://\S+", process.text())
        self.assertTrue(rtmp, process.text())
        return process, rtmp, http

    def end_marked(self):
        for pid in marked(self.marker):
            os.kill(pid, signal.SIGKILL)

    def none_left(self):
        wait_until(
            lambda: not marked(self.marker),
            lambda: f"processes are left: {marked(self.marker)}",
            5 * SLOWNESS,
        )

    def test_demo_plays_and_leaves_nothing_behind(self):
        process, rtmp, http = self.demo()
        wait_until(lambda: "video" in media.probe(self.scene, http)[0], f"{http} plays", 40 * SLOWNESS, 0.5)
        playing = [url for url in rtmp if media.probe(self.scene, url, 15 * SLOWNESS)[0].get("video")]
        self.assertTrue(playing, f"none of {rtmp} plays")
        process.signal(signal.SIGINT)
        self.assertEqual(0, process.wait(10 * SLOWNESS))
        self.none_left()

    def test_demo_ends_when_one_of_its_processes_dies(self):
        process, _, http = self.demo()
        wait_until(lambda: "video" in media.probe(self.scene, http)[0], f"{http} plays", 40 * SLOWNESS, 0.5)
        children = [pid for pid in marked(self.marker) if pid != process.pid]
        self.assertTrue(children, "the demo has no processes of its own")
        os.kill(children[0], signal.SIGKILL)
        self.assertNotEqual(0, process.wait(10 * SLOWNESS))
        self.none_left()

    def test_mistakes_are_one_line_and_exit_status_1(self):
        path = self.scene.path("weir.conf")
        with open(path, "w") as file:
            file.write("[listen]\nrtmp = 1935\nhtpp = 8080\n")
        bad = self.scene.path("bad.conf")
        with open(bad, "w") as file:
            file.write("[edge]\nlinger = soon\n")
        busy = free_port()
        _, env = listeners()
        mistakes = {
            0: [("--set", "listen.rtpm=1"), r"listen\.rtpm.*listen\.rtmp"],
            1: [("--set", "listen.rtmp=70000"), r"listen\.rtmp"],
            2: [("--set", "workers=many"), r"workers"],
            3: [(f"--config={path}",), r"weir\.conf:3.*listen\.htpp"],
            4: [(f"--config={bad}",), r"bad\.conf:2.*edge\.linger"],
            5: [("--config=/nowhere/weir.conf",), r"/nowhere/weir\.conf"],
            6: [("--role=both",), r"role"],
            7: [("--no-such-option",), r"no-such-option"],
            8: [
                ("--set", f"listen.rtmp=127.0.0.1:{busy}", "--set", f"listen.http=127.0.0.1:{busy}"),
                r"listen\.(rtmp|http)",
            ],
        }
        for arguments, pattern in mistakes.values():
            with self.subTest(arguments):
                status, output, errors = run_weir(self.scene, *arguments, env=env)
                self.assertEqual((1, ""), (status, output), errors)
                self.assertEqual(1, len(errors.splitlines()), errors)
                self.assertRegex(errors, pattern)

    def test_a_port_in_use_is_one_line_that_names_the_option(self):
        ports, env = listeners()
        holder = self.scene.start("weir-holder", [BINARY], env=env)
        self.printed(holder, "rtmp://")
        for name, port in ports.items():
            if name in ("webrtc", "srt"):  # not in this version
                continue
            with self.subTest(name):
                _, others = listeners()
                others[f"WEIR_LISTEN_{name.upper()}"] = f"127.0.0.1:{port}"
                status, _, errors = run_weir(self.scene, env=others)
                self.assertEqual(1, status, errors)
                self.assertIn(f"listen.{name}", errors.splitlines()[-1])
        self.assertTrue(holder.running())

    def test_answers_without_running(self):
        self.assertRegex(run_weir(self.scene, "--version")[1], r"^weir \d+\.\d+\.\d+")
        for arguments in (
            ("--help",),
            ("--help=all",),
            ("--print-config",),
            ("--print-default-config",),
            ("--check-config",),
        ):
            with self.subTest(arguments):
                status, output, errors = run_weir(self.scene, *arguments)
                self.assertEqual(0, status, errors)
        _, output, _ = run_weir(
            self.scene, "--print-config", "--set", "listen.http=9090", env={"WEIR_LISTEN_RTMP": "[::1]:1940"}
        )
        self.assertRegex(output, r"(?m)^rtmp = \[::1\]:1940")
        self.assertRegex(output, r"(?m)^http = 9090")

    def test_the_environment_of_the_earlier_proxy_works_from_a_file_too(self):
        ports = {
            name: free_port()
            for name in (
                "RTMP_SERVER",
                "HTTP_SERVER",
                "HTTP_API",
                "WEBRTC_SERVER",
                "SRT_SERVER",
                "SYSTEM_API",
            )
        }
        folder = self.scene.path("go-proxy")
        os.mkdir(folder)
        with open(os.path.join(folder, ".env"), "w") as file:
            file.writelines(f"PROXY_{name}={port}\n" for name, port in ports.items() if name != "RTMP_SERVER")
            file.write(
                "PROXY_LOAD_BALANCER_TYPE=memory\nPROXY_REDIS_HOST=127.0.0.1\n"
                "PROXY_DEFAULT_BACKEND_ENABLED=on\nPROXY_DEFAULT_BACKEND_IP=127.0.0.1\n"
                f"PROXY_DEFAULT_BACKEND_RTMP={free_port()}\nPROXY_GRACE_QUIT_TIMEOUT=1s\n"
            )
        process = self.scene.start(
            "weir-proxy",
            [BINARY, "--role=proxy"],
            cwd=folder,
            env={"PROXY_RTMP_SERVER": str(ports["RTMP_SERVER"])},
        )
        for name in ("RTMP_SERVER", "HTTP_SERVER", "HTTP_API", "SYSTEM_API"):
            wait_until(
                lambda: accepts(ports[name]),
                lambda: f"{name} listens: {process.text()[-500:]}",
                10 * SLOWNESS,
            )
        self.assertIn(b"127.0.0.1", request(ports["SYSTEM_API"], "GET", "/api/v1/upstreams")[2])


if __name__ == "__main__":
    scene.main()
