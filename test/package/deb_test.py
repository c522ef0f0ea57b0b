"""The life of the .deb on a clean Debian with a real systemd: install, both roles, a stream, upgrade, removal, purge."""

import os
import re
import resource

from host import Host, HostTest, package, run
from support import media, scene
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
        host.chroot(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", "/srv/weir.deb", seconds=200
        )
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
        host.inside("rm", "/etc/weir/origin.conf")
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
        patience = "/run/systemd/system/weir.service.d/patience.conf"
        host.shell(
            f"mkdir -p {os.path.dirname(patience)}; printf '[Service]\\nWatchdogSec=1s\\n' > {patience}"
        )
        host.shell("systemctl daemon-reload; systemctl restart weir")
        for number, result in (("KILL", "signal"), ("STOP", "watchdog")):
            pid = host.main_pid("weir")
            host.inside("systemctl", "kill", "-s", number, "weir")

            def is_back():
                said = host.inside("journalctl", "-u", "weir", "-o", "cat")
                return f"'{result}'" in said and host.main_pid("weir") not in (0, pid) and host.active("weir")

            wait_until(is_back, f"it is back after {number}", 30, 0.3)
        host.shell(f"rm -r {os.path.dirname(patience)}; systemctl daemon-reload; systemctl restart weir")

        host.shell("printf '[listen]\\nrtpm = 1\\n' >> /etc/weir/weir.conf")
        said = host.inside("weir", "--check-config", "--config=/etc/weir/weir.conf", fails=True)
        self.assertRegex(said, r"^weir: \S*weir\.conf:\d+: listen\.rtpm.*listen\.rtmp")
        host.shell("head -n -2 /etc/weir/weir.conf > /srv/right; cat /srv/right > /etc/weir/weir.conf")

    def drains(self, clip):
        """A stop that takes longer than TimeoutStopSec=, because shutdown.grace does."""
        host = self.host
        short = "/run/systemd/system/weir.service.d/short.conf"
        host.shell(f"mkdir -p {os.path.dirname(short)}; printf '[Service]\\nTimeoutStopSec=1s\\n' > {short}")
        host.shell("systemctl daemon-reload; systemctl restart weir")
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
        host.shell(f"rm -r {os.path.dirname(short)}; systemctl daemon-reload; systemctl start weir")


if __name__ == "__main__":
    scene.main()
