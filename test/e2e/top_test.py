"""`weir top` in a terminal and for scripts, `weir check` and `weir --check-config`."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.crowd import Crowd, FlvViewer
from support.node import BINARY, Weir, run_weir
from support.scene import SLOWNESS, free_port, wait_until

TOKEN = "0123456789abcdef"
WAIT = 15 * SLOWNESS
STYLE = re.compile(r"\x1b\[[0-9;]*m")
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


class Terminal:
    """A program on a pseudo-terminal of its own, and the newest screen that it has drawn."""

    def __init__(self, scene, argv, columns=100, rows=24):
        self.master, slave = os.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.text = ""

        def take_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=take_terminal, cwd=scene.directory
        )
        scene.at_end(self._end)

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds=0.2):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other end has closed
                return
            self.text += data.decode(errors="replace")
            seconds = 0

    def screen(self):
        """The lines of the newest whole frame, without colours."""
        self.read()
        frames = [f for f in self.text.split("\x1b[H")[1:] if "\x1b[J" in f]
        if not frames:
            return []
        lines = STYLE.sub("", frames[-1].split("\x1b[J")[0]).split("\r\n")
        return [line.replace("\x1b[K", "").rstrip("\r") for line in lines]

    def until(self, condition, what):
        wait_until(lambda: condition(self.screen()), lambda: f"{what}: {self.screen()}", WAIT)
        return self.screen()

    def wait(self):
        deadline = time.monotonic() + WAIT
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        return self.process.poll()

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self.master)
        os.close(self.slave)


class WithWeir(scene.SceneTest):
    def weir(self, *arguments, env=None):
        return run_weir(self.scene, *arguments, env=env, seconds=WAIT)


class Top(WithWeir):
    def setUp(self):
        self.edge = Weir(self.scene, "edge", options={"api.token": TOKEN})
        self.url = f"http://127.0.0.1:{self.edge.system}"
        clip = media.encode_clip(self.scene, seconds=4)
        self.publishers = [
            media.publish(self.scene, clip, self.edge.rtmp_url(name), name=f"publisher-{name}")
            for name in ("alpha", "beta")
        ]
        viewers = [FlvViewer("127.0.0.1", self.edge.http, "/live/beta.flv") for _ in range(3)]
        Crowd(self.scene).add(*viewers)
        wait_until(lambda: all(v.playing(5) for v in viewers), lambda: [v.describe() for v in viewers], WAIT)

    def test_once_is_for_scripts(self):
        def shown():
            status, output, errors = self.weir("top", self.url, "--once", env={"WEIR_API_TOKEN": TOKEN})
            self.assertEqual((0, ""), (status, errors))
            return "h264 aac" in output and output

        output = wait_until(shown, "both streams have media", WAIT)
        self.assertNotIn("\x1b", output)
        lines = output.splitlines()
        self.assertRegex(lines[0], r"^weir edge   edge, ready for \d+s +weir \d")
        self.assertRegex(lines[1], r"^viewers 3   publishers 2   clients 5   streams 2   no upstream$")
        self.assertRegex(output, r"(?m)^loops   0 \[[#.]{10}\] ")
        self.assertRegex(lines[-2], r"^live/beta +published +h264 aac +[\d.]+ [kM]b/s +3 ")
        self.assertRegex(lines[-1], r"^live/alpha +published +h264 aac +[\d.]+ [kM]b/s +0 ")
        names = self.weir("top", self.url, "--sort=name", f"--token={TOKEN}")[1].splitlines()
        self.assertTrue(names[-1].startswith("live/beta"))
        # Of the node that the configuration means.
        output = self.weir("top", "--set", f"listen.system={self.edge.system}", "--set", f"api.token={TOKEN}")[1]
        self.assertIn("weir edge", output)

    def test_what_it_cannot_show_is_one_line(self):
        for arguments, words in {
            (self.url,): "the API token is missing or wrong",
            (self.url, "--token=wrong"): "the API token is missing or wrong",
            (f"http://127.0.0.1:{free_port()}",): "Connection refused",
            ("https://127.0.0.1",): "not an http:// address",
            ("http://",): "http",
            (f"http://127.0.0.1:{self.edge.http}",): "/api/v1/summaries answers 404",
            (self.url, "--sort=size"): "--sort: 'size' is not viewers, rate, name or age",
        }.items():
            with self.subTest(arguments):
                status, output, errors = self.weir("top", *arguments)
                self.assertEqual((1, "", 1), (status, output, len(errors.splitlines())), errors)
                self.assertIn(words, errors)

    def test_it_lives_in_a_terminal(self):
        terminal = Terminal(self.scene, [BINARY, "top", self.url, f"--token={TOKEN}"])

        def order(screen):
            return [line.split()[0] for line in screen if line.startswith("live/")]

        screen = terminal.until(lambda lines: order(lines) == ["live/beta", "live/alpha"], "by viewers")
        self.assertEqual(24, len(screen))
        self.assertTrue(screen[-1].startswith("q quit"))
        terminal.press("n")
        terminal.until(lambda lines: order(lines) == ["live/alpha", "live/beta"], "by name")
        terminal.press("\x1b[B")
        terminal.until(lambda lines: order(lines) == ["live/beta"], "one further down")
        terminal.press("\x1b[Av")
        terminal.until(lambda lines: order(lines) == ["live/beta", "live/alpha"], "by viewers again")
        terminal.resize(40, 12)
        screen = terminal.until(lambda lines: len(lines) == 12, "it follows the terminal's size")
        self.assertLessEqual(max(map(len, screen)), 40)
        terminal.resize(1, 1)
        terminal.until(lambda lines: len(lines) == 1, "however small")
        terminal.resize(120, 30)
        terminal.until(lambda lines: len(lines) == 30, "and back")
        self.publishers[0].kill()
        terminal.until(lambda lines: "publishers 1 " in lines[1], "it is live")
        self.edge.process.kill()
        terminal.until(lambda lines: any("refused" in line for line in lines), "it says that nobody answers")
        self.edge.start()
        terminal.until(lambda lines: "publishers 0 " in lines[1], "and goes on when somebody does")
        terminal.press("q")
        self.assertEqual(0, terminal.wait())
        terminal.read()
        self.assertTrue(terminal.text.startswith(ENTER) and terminal.text.endswith(LEAVE))
        self.assertEqual(terminal.before, termios.tcgetattr(terminal.slave))

    def test_a_signal_gives_the_terminal_back(self):
        for end in (lambda t: t.process.send_signal(signal.SIGTERM), lambda t: t.press("\x03")):
            terminal = Terminal(self.scene, [BINARY, "top", self.url, f"--token={TOKEN}"])
            terminal.until(lambda lines: any("live/beta" in line for line in lines), "it shows streams")
            end(terminal)
            self.assertEqual(0, terminal.wait())
            terminal.read()
            self.assertTrue(terminal.text.endswith(LEAVE))
            self.assertEqual(terminal.before, termios.tcgetattr(terminal.slave))


class Check(WithWeir):
    def setUp(self):
        self.file = self.scene.path("weir.conf")

    def write(self, text):
        with open(self.file, "w") as file:
            file.write(text)

    def test_check_says_what_a_configuration_would_do(self):
        self.write(
            "role = proxy\n[listen]\nsystem = 12025\nsrt =\n[upstream.a]\nhost = 10.0.0.1\nrtmp = 1935\n"
            "[redis]\npassword = hidden\n"
        )
        status, output, errors = self.weir("check", f"--config={self.file}")
        self.assertEqual((0, ""), (status, errors))
        for pattern in (
            r"^role +proxy, \d+ event loops?$",
            r"^listens +api +port 1985 +every address$",
            r"^ +rtmp +port 1935 ",
            r"^relays to +a: rtmp 10\.0\.0\.1:1935; weight 1$",
            r"^balance +least_streams$",
            r"^state +of this proxy alone, in memory$",
            r"^ +redis\.password = \(not shown\) \(.*weir\.conf:9\)$",
            r"^warning: listen\.system is open to other hosts without api\.token",
        ):
            self.assertRegex(output, f"(?m){pattern}")
        self.assertNotIn("hidden", output)
        self.assertNotRegex(output, r"(?m)^ +srt ")

    def test_a_mistake_is_named_with_file_and_line(self):
        self.write("[listen]\nrtmp = 1935\nhttp = 99999\n")
        for words in (("check",), ("--check-config",), ("-t",)):
            status, output, errors = self.weir(*words, f"--config={self.file}")
            self.assertEqual((1, ""), (status, output))
            self.assertRegex(errors, r"^weir: .*weir\.conf:3: listen\.http: ")
        for section, line, words in (
            ("access.sign", "secret = too short", "secret: needs at least 16 bytes"),
            ("access.jwt", "keys = /nowhere/keys.json", "keys: /nowhere/keys.json: No such file or directory"),
            ("access.play", "require = signature", "require: needs access.sign.secret"),
            ("access.hook", "on_play = www.example/hook", "on_play: 'www.example/hook' is not http://"),
            ("access.hook", "tls_ca = /nowhere/ca.pem", "tls_ca: "),
        ):
            self.write(f"[{section}]\n{line}\n")
            for verb in ("check", "--check-config"):
                status, output, errors = self.weir(verb, f"--config={self.file}")
                self.assertEqual((1, ""), (status, output))
                self.assertIn(f"weir.conf:2: {section}.{words}", errors)
        self.write("[listen]\nrtmp = 1935\n")
        self.assertEqual((0, "", ""), self.weir("--check-config", f"--config={self.file}"))


if __name__ == "__main__":
    scene.main()
