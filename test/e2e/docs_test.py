"""Every command and every piece of configuration in README.md and docs/ is right: what can run here is run.

Fenced blocks say by their language what they are: `sh` commands, `ini` configuration of weir, `redis` commands of
redis-cli, others for other programs. Whatever a block of commands has that this test does not know makes it fail.
"""

import glob
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import media, scene
from support.certificates import Certificates
from support.node import BINARY, Weir
from support.origin import Origin
from support.permits import KEY, key_set
from support.redis import Redis
from support.scene import REPOSITORY, free_port, wait_until

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LANGUAGES = {"", "sh", "ini", "yaml", "nginx", "json", "redis"}  # "": pictures and listings

# What needs a machine of its own, or is this test's own doing, and who runs it.
ELSEWHERE = {
    "./dev run": "first_minute_test.py",
    "./dev test": "whoever runs this",
    "./dev package": "test/package",
    "./dev bench": "test/bench",
    "sudo apt install": "test/package/deb_test.py",
    "systemctl": "test/package/deb_test.py",
    "helm": "test/package/helm_test.py",
    "docker": "test/package/image_test.py",
    "journalctl": "systemd's own",
    "sysctl": "changes the whole machine",
    "ffplay": "wants a screen",
}


def documents():
    return [
        os.path.join(REPOSITORY, "README.md"),
        *sorted(glob.glob(os.path.join(REPOSITORY, "docs", "**", "*.md"), recursive=True)),
    ]


def blocks(language):
    for path in documents():
        with open(path) as file:
            text = file.read()
        for match in FENCE.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{os.path.relpath(path, REPOSITORY)}:{line}", match[2]


def commands(text):
    """Logical lines without comments."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError as mistake:
            raise AssertionError(f"{line}: {mistake}") from None
        if words:
            yield line.strip(), words


class Docs(scene.SceneTest):
    def check_weir(self, words):
        """Configurations are judged, not run: they name other hosts and the usual ports."""
        if "--help" in words or "demo" in words or "top" in words:
            return
        known = {
            "PATH": os.environ["PATH"],
            **{w.split("=", 1)[0]: w.split("=", 1)[1] for w in words if re.match(r"[A-Z_]+=", w)},
        }
        rest = [w for w in words if not re.match(r"[A-Z_]+=", w)][1:]
        arguments = [
            w.replace("/etc/weir/weir.conf", os.path.join(REPOSITORY, "etc/weir.conf")) for w in rest if w != "check"
        ]
        if "--check-config" not in arguments:
            arguments.append("--check-config")
        done = subprocess.run(
            [BINARY, *arguments], env=known, cwd=self.scene.directory, capture_output=True, text=True, timeout=10
        )
        self.assertEqual(0, done.returncode, done.stderr)

    def with_files(self, text):
        """The same configuration, with the files of keys that it names."""
        for option, name in re.findall(r"^(keys|tls_ca) = (/etc/weir/\S+)$", text, re.M):
            path = self.scene.path(os.path.basename(name))
            if option == "keys":
                with open(path, "w") as file:
                    file.write(key_set(a=KEY))
            else:
                path = Certificates(self.scene).ca
            text = text.replace(name, path)
        return text

    def run_pipe(self, where, line):
        """What it prints at its end stands in the same document."""
        printed = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=10).stdout
        with open(os.path.join(REPOSITORY, where.rpartition(":")[0])) as file:
            self.assertIn(printed.split()[-1], file.read(), line)

    def cluster(self):
        self.origin = Origin(self.scene)
        self.api = free_port()
        self.edge = Weir(
            self.scene,
            "edge",
            upstreams={"origin1": {"rtmp": self.origin.rtmp, "http": self.origin.http}},
            options={"listen.api": f"127.0.0.1:{self.api}"},
        )
        self.publisher = media.publish(self.scene, media.encode_clip(self.scene, seconds=6), self.edge.rtmp_url("test"))
        wait_until(lambda: "test" in self.origin.published(), "the stream is published")
        self.ports = {"12025": self.edge.system, "1985": self.api, "8080": self.edge.http}

    def run_curl(self, where, line, words):
        """Against the node of cluster(); what a reader has to fill in may be refused as not found or unauthorised."""
        words = [
            re.sub(r"(127\.0\.0\.1|localhost|HOST):(\d+)", lambda m: f"127.0.0.1:{self.ports.get(m[2], m[2])}", w)
            for w in words
        ]
        words = [
            words[0],
            "--silent",
            "--show-error",
            "--max-time",
            "3",
            "-o",
            os.devnull,
            "-w",
            "%{http_code}",
            *words[1:],
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=10)
        status = int(done.stdout or 0)
        example = re.search(r"TOKEN|clients/\w{8}|/live/cam|upstreams/origin1|register", line)
        live = done.returncode == 28 and status == 200  # a stream without end
        self.assertTrue(live or done.returncode == 0, (where, line, done.stderr))
        self.assertTrue(200 <= status < 300 or (example and status in (400, 401, 403, 404, 405)), (where, line, status))

    def test_blocks_say_what_they_are(self):
        for path in documents():
            with open(path) as file:
                languages = {match[1] for match in FENCE.finditer(file.read())}
            self.assertLessEqual(languages, LANGUAGES, path)

    def test_configuration_is_taken(self):
        seen = 0
        for where, text in blocks("ini"):
            with self.subTest(where):
                path = os.path.join(self.scene.directory, "weir.conf")
                with open(path, "w") as file:
                    file.write(self.with_files(text))
                status, said = self.scene.run("check", [BINARY, f"--config={path}", "--check-config"], 10)
                self.assertEqual(0, status, said)
                seen += 1
        self.assertGreater(seen, 0)

    def test_redis_takes_its_commands(self):
        redis = Redis(self.scene)
        for where, text in blocks("redis"):
            for _, words in commands(text):
                with self.subTest(where):
                    self.assertEqual("OK", redis.ask(*words))

    def test_commands_work(self):
        self.cluster()
        last = []
        for where, text in blocks("sh"):
            for line, words in commands(text):
                program = next(w for w in words if not re.match(r"[A-Z_]+=", w))
                if any(line.startswith(prefix) for prefix in ELSEWHERE):
                    continue
                with self.subTest(where, line=line):
                    if os.path.basename(program) == "weir":
                        self.check_weir(words)
                    elif program == "curl":
                        last.append((where, line, words)) if "drain" in line else self.run_curl(where, line, words)
                    elif program == "printf":
                        self.run_pipe(where, line)
                    elif program == "ffmpeg":
                        self.assertIn("rtmp://", line)  # media.publish() above is this command
                    else:
                        self.fail(f"{program}: run it here, or say in ELSEWHERE who does")
        for where, line, words in last:  # what sends nodes away
            with self.subTest(where, line=line):
                self.run_curl(where, line, words)


if __name__ == "__main__":
    scene.main()
