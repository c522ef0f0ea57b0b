"""The life of the .deb on a clean Debian with a real systemd: install, both roles, a stream, upgrade, removal, purge."""

import os
import re
import resource

from host import Host, HostTest, package, run
from support import media, scene
from support.certificates import Certificates
from support.scene import wait_until

ORIGIN_CONF = """role = edge
[listen]
rtmp = 127.0.0.1:19400
http = 127.0.0.1:19401
api =
webrtc =
srt =
system = 127.0.0.1:19402
"""
LOGGED = "[access_log]\npath = /var/log/weir/access.log\n"
TLS = "[listen]\nrtmps = 1936\nhttps = 8443\n[tls]\ncertificates = /etc/weir/tls\nhttp2 = on\n"
NOBODY_PLAYS = "[access.play]\ndeny = loopback\n"
UPSTREAM = "\n[upstream.a]\nhost = 127.0.0.1\nrtmp = 19400\nhttp = 19401\n"


def newer(deb, folder):
    """The next release: another version, and other comments in two files of the configuration."""
    run("dpkg-deb", "-R", deb, folder)
    control = os.path.join(folder, "DEBIAN/control")
    with open(control) as file:
        text = file.read()
    with open(control, "w") as file:
        file.write(re.sub(r"(?m)^(Version: .*-)1$", r"\g<1>2", text))
    for name in ("weir.conf", "proxy.conf"):
        with open(os.path.join(folder, "etc/weir", name), "a") as file:
            file.write("\n# of the next release\n")
    run("dpkg-deb", "--root-owner-group", "-b", folder, folder + ".deb")
    return folder + ".deb"


class Player:
    """ffmpeg plays a stream and writes down when each picture is to be shown."""

    def __init__(self, host, url):
        self.file = host.path("player.crc")
        argv = [*media.FFMPEG, "-y", "-i", url, "-map", "0:v", "-c", "copy", "-flush_packets", "1"]
        self.process = host.start("player", [*argv, "-f", "framecrc", self.file])

    def stamps(self):
        """In ms."""
        if not os.path.exists(self.file):
            return []
        with open(self.file) as file:
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n") and not line.startswith("#")]
        return [int(line.split(",")[1]) for line in whole]

    def plays_on(self, what):
        before = len(self.stamps())
        wait_until(lambda: len(self.stamps()) >= before + 50, lambda: f"it plays {what}", 20, 0.1)
        stamps = self.stamps()
        gap = max(later - earlier for earlier, later in zip(stamps, stamps[1:]))
        assert gap < 300, f"{gap} ms are missing {what}"


class DebTest(HostTest):
    def plays(self, url):
        def streams():
            return {kind: s["codec_name"] for kind, s in media.probe(self.host, url, 20)[0].items()}

        wait_until(lambda: streams() == {"video": "h264", "audio": "aac"}, f"{url} plays", 30, 0.5)

    def test_install_run_upgrade_remove_purge(self):
        host: Host = self.host
        deb = package(".deb")
        host.bring(deb, "weir.deb")
        host.chroot("apt-get", "update", "-qq")
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        host.chroot(*install, "/srv/weir.deb", "logrotate", seconds=200)
        host.chroot("weir", "--check-config", "--config=/etc/weir/weir.conf")
        host.boot()
        clip = media.encode_clip(host)

        self.installed_service()
        publisher = media.publish(host, clip, "rtmp://127.0.0.1/live/a")
        for url in ("rtmp://127.0.0.1/live/a", "http://127.0.0.1:8080/live/a.flv"):
            self.plays(url)
        publisher.stop()
        self.crashes_and_mistakes()
        self.drains(clip)
        self.never_stops(clip)

        # Both roles on one host, as they are installed, and an origin behind them.
        host.inside("systemctl", "disable", "--now", "weir")
        with open(f"{host.root}/etc/weir/origin.conf", "w") as file:
            file.write(ORIGIN_CONF)
        with open(f"{host.root}/etc/weir/proxy.conf", "a") as file:
            file.write(UPSTREAM)
        units = ["weir@origin", "weir@proxy", "weir@edge"]
        host.inside("systemctl", "enable", "--now", *units)
        publisher = media.publish(host, clip, "rtmp://127.0.0.1/live/b")
        for port in (1935, 19350, 19400):
            self.plays(f"rtmp://127.0.0.1:{port}/live/b")
        self.plays("http://127.0.0.1:8080/live/b.flv")
        self.assertEqual(200, host.get(12025, "/readyz")[0])
        self.assertEqual(200, host.get(12026, "/readyz")[0])
        publisher.stop()

        before = {unit: host.main_pid(unit) for unit in units}
        host.bring(newer(deb, host.path("newer")), "newer.deb")
        host.shell("apt-get install -y -qq -o Dpkg::Options::=--force-confold /srv/newer.deb")
        for unit in units:
            wait_until(lambda: host.active(unit), f"{unit} runs", 10, 0.3)
            self.assertNotEqual(before[unit], host.main_pid(unit), f"{unit} is still the old one")
        self.assertFalse(host.active("weir"), "what was disabled was started")
        kept = host.inside("cat", "/etc/weir/proxy.conf")
        self.assertIn("[upstream.a]\nhost = 127.0.0.1", kept)
        self.assertNotIn("next release", kept)
        self.assertIn("next release", host.inside("cat", "/etc/weir/weir.conf"))
        publisher = media.publish(host, clip, "rtmp://127.0.0.1/live/c")
        self.plays("rtmp://127.0.0.1:19400/live/c")
        publisher.stop()

        host.inside("apt-get", "remove", "-y", "-qq", "weir")
        self.assertFalse(any(host.active(unit) for unit in units))
        self.assertIn("[upstream.a]", host.inside("cat", "/etc/weir/proxy.conf"))
        self.assertFalse(os.path.exists(f"{host.root}/usr/bin/weir"))
        host.inside("rm", "-r", "/etc/weir/origin.conf", "/etc/weir/tls")
        host.inside("apt-get", "purge", "-y", "-qq", "weir")
        self.assertEqual([], host.leftovers())

    def installed_service(self):
        host = self.host
        wait_until(lambda: host.active("weir"), lambda: host.inside("journalctl", "-u", "weir"), 20, 0.3)
        self.assertEqual("enabled", host.property("weir", "UnitFileState"))
        self.assertRegex(host.property("weir", "StatusText"), "role edge")
        pid = host.main_pid("weir")
        self.assertEqual("weir", host.inside("stat", "-c", "%U", f"/proc/{pid}").strip())
        limits = host.inside("cat", f"/proc/{pid}/limits")
        # No more than whoever runs this test may have.
        most = min(1048576, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        self.assertEqual("1048576", host.property("weir", "LimitNOFILE"))
        self.assertRegex(limits, rf"Max open files +{most} +{most} ")
        self.assertEqual("750 weir", host.inside("stat", "-c", "%a %U", "/var/lib/weir").strip())
        self.assertEqual("750 weir", host.inside("stat", "-c", "%a %U", "/var/cache/weir").strip())
        self.assertEqual(
            "640 root:weir", host.inside("stat", "-c", "%a %U:%G", "/etc/weir/weir.conf").strip()
        )
        self.assertEqual(200, host.get(12025, "/healthz")[0])
        started = re.search(r"(?m)^process_start_time_seconds (\S+)", host.get(12025, "/metrics")[1])
        now = float(host.inside("date", "+%s"))
        self.assertTrue(0 <= now - float(started[1]) < 600, f"started {started[1]}, now {now}")
        host.inside("systemd-analyze", "security", "--no-pager", "--threshold=30", "weir.service")

    def crashes_and_mistakes(self):
        host = self.host
        # The watchdog, with less patience than usual: a process that is stopped feeds nobody.
        self.change_unit("WatchdogSec=1s")
        for number, result in (("KILL", "signal"), ("STOP", "watchdog")):
            self.comes_back_after(number, result)
        self.change_unit("")

        host.shell("printf '[listen]\\nrtpm = 1\\n' >> /etc/weir/weir.conf")
        said = host.inside("weir", "--check-config", "--config=/etc/weir/weir.conf", fails=True)
        self.assertRegex(said, r"^weir: \S*weir\.conf:\d+: listen\.rtpm.*listen\.rtmp")
        host.shell("head -n -2 /etc/weir/weir.conf > /srv/right; cat /srv/right > /etc/weir/weir.conf")

    def drains(self, clip):
        """A stop that takes longer than TimeoutStopSec=, because shutdown.grace does."""
        host = self.host
        self.change_unit("TimeoutStopSec=1s")
        publisher = media.publish(host, clip, "rtmp://127.0.0.1/live/d")
        self.plays("rtmp://127.0.0.1/live/d")
        host.inside("systemctl", "stop", "--no-block", "weir")
        wait_until(lambda: host.property("weir", "StatusText") == "draining", "it drains", 10, 0.2)
        pause = host.start("past TimeoutStopSec", ["sleep", "2"])
        pause.wait(5)
        self.assertTrue(publisher.running(), "a publisher was cut before its time")
        self.assertEqual("deactivating", host.property("weir", "ActiveState"))
        publisher.stop()
        wait_until(lambda: host.property("weir", "ActiveState") == "inactive", "it ended", 10, 0.2)
        self.assertEqual("success", host.property("weir", "Result"))
        self.change_unit("")

    def never_stops(self, clip):
        """A player's session, while the configuration changes and while another process takes over."""
        host = self.host
        with open(f"{host.root}/etc/weir/weir.conf") as file:
            installed = file.read()
        certificates = Certificates(host)
        for path, name in zip(certificates.server, ("site.pem", "site.key")):
            host.bring(path, name)
        host.shell(
            "install -d -g weir -m 750 /etc/weir/tls; install -g weir -m 640 -t /etc/weir/tls /srv/site.*"
        )
        self.configure(installed + LOGGED)
        self.change_unit("WatchdogSec=1s")
        publisher = media.publish(host, clip, "rtmp://127.0.0.1/live/e")
        self.plays("rtmp://127.0.0.1/live/e")
        player = Player(host, "rtmp://127.0.0.1/live/e")
        player.plays_on("at first")

        self.reloads(player, certificates, installed + LOGGED)
        old = host.main_pid("weir")
        restarts = host.property("weir", "NRestarts")
        host.inside("systemctl", "kill", "--kill-whom=main", "--signal=USR2", "weir")
        wait_until(lambda: host.main_pid("weir") not in (0, old), self.journal, 20, 0.2)
        media.publish(host, clip, "rtmps://127.0.0.1:1936/live/f", name="publisher-f")
        self.plays("rtmps://127.0.0.1:1936/live/f")
        player.plays_on("while another process is the service")
        # Longer than its watchdog waits.
        self.assertEqual(restarts, host.property("weir", "NRestarts"))
        self.assertEqual("running", host.property("weir", "SubState"))
        self.assertNotIn("reception only permitted", host.inside("journalctl", "--no-pager"))
        publisher.stop()
        player.process.stop()
        gone = ["sh", "-c", f"! kill -0 {old} 2>/dev/null && echo gone || true"]
        wait_until(lambda: host.inside(*gone), "the old process has ended", 20, 0.2)
        self.comes_back_after("KILL", "signal")

        self.rotates()
        host.inside("systemctl", "stop", "weir")
        self.configure(installed)
        self.change_unit("")

    def reloads(self, player, certificates, text):
        host = self.host
        pid = host.main_pid("weir")
        self.configure(text + TLS)
        host.inside("systemctl", "reload", "weir")
        self.plays("rtmps://127.0.0.1:1936/live/e")
        self.plays("https://127.0.0.1:8443/live/e.flv")
        argv = ["curl", "-sS", "-m", "5", "--cacert", certificates.ca, "-w", "\n%{http_version}"]
        status, said = host.run("curl", [*argv, "https://127.0.0.1:8443/live/nothing.m3u8"], 10)
        self.assertEqual((0, "2"), (status, said.rpartition("\n")[2]))

        self.configure(text + TLS + "rtpm = 1\n")
        host.inside("systemctl", "reload", "weir")
        wait_until(lambda: "configuration refused" in self.journal(), self.journal, 10, 0.2)
        self.assertRegex(self.journal(), r"weir\.conf:\d+: tls\.rtpm")
        self.assertTrue(host.active("weir"))

        self.configure(text + TLS + NOBODY_PLAYS)
        host.inside("systemctl", "reload", "weir")
        wait_until(lambda: host.get(8080, "/live/e.flv")[0] == 403, "nobody else may play", 15, 0.2)
        player.plays_on("while the configuration changes")
        self.configure(text + TLS)
        self.assertEqual(pid, host.main_pid("weir"))

    def rotates(self):
        host, log = self.host, "/var/log/weir/access.log"
        self.assertEqual("750 weir", host.inside("stat", "-c", "%a %U", "/var/log/weir").strip())
        self.assertIn('"action":"play"', host.inside("cat", log))
        host.inside("logrotate", "--force", "/etc/logrotate.d/weir")
        wait_until(lambda: os.path.exists(host.root + log), "the log is opened again", 10, 0.2)
        host.get(8080, "/live/after-rotation")
        wait_until(lambda: "after-rotation" in host.inside("cat", log), "it is written to", 10, 0.2)
        self.assertNotIn("after-rotation", host.inside("cat", log + ".1"))

    # ---------------------------------------------------------------------------------- weir.service
    def configure(self, text):
        with open(f"{self.host.root}/etc/weir/weir.conf", "w") as file:
            file.write(text)

    def change_unit(self, line):
        """As `systemctl edit` would, and starts it anew; an empty line takes all changes back."""
        folder = "/run/systemd/system/weir.service.d"
        change = f"mkdir -p {folder}; printf '[Service]\\n{line}\\n' > {folder}/test.conf"
        change = change if line else f"rm -r {folder}"
        self.host.shell(f"{change}; systemctl daemon-reload; systemctl restart weir")

    def journal(self):
        return self.host.inside("journalctl", "-u", "weir", "-o", "cat")

    def comes_back_after(self, number, result):
        host = self.host
        pid, known = host.main_pid("weir"), self.journal().count(f"'{result}'")
        host.inside("systemctl", "kill", "-s", number, "weir")

        def is_back():
            ended = self.journal().count(f"'{result}'") > known
            return ended and host.main_pid("weir") not in (0, pid) and host.active("weir")

        wait_until(is_back, f"it is back after {number}", 30, 0.3)


if __name__ == "__main__":
    scene.main()
