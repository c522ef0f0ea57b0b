"""What the kernel knows about a process, and starting and ending processes without leaving any behind."""

import os
import signal
import socket
import subprocess
import time
import urllib.request

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
niceness = 0  # of every process started: below zero where other jobs share the machine
_running = []


def start(command, core, log=None, **popen):
    """Starts `command` pinned to `core`. It dies with this process, whatever ends that."""
    wrapped = ["setpriv", "--pdeathsig", "TERM", "nice", "-n", str(niceness),
               "taskset", "-c", str(core), *map(str, command)]
    output = open(log, "ab") if log else subprocess.DEVNULL
    popen.setdefault("stdout", output)
    process = subprocess.Popen(wrapped, stdin=subprocess.DEVNULL, stderr=output,
                               start_new_session=niceness != 0, **popen)
    _running.append(process)
    if niceness:  # where the kernel groups tasks by session, niceness counts between groups only so
        try:
            with open(f"/proc/{process.pid}/autogroup", "w") as autogroup:
                autogroup.write(str(niceness))
        except OSError:
            pass
    return process


def stop(process):
    """Asks by signal, insists after three seconds. Only ever that process and the children it leaves."""
    if process not in _running:
        return
    _running.remove(process)
    family = tree(process.pid)
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()


def stop_all():
    for process in list(_running):
        stop(process)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def http_get(port, path):
    """The body, or None unless the answer is 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.read() if answer.status == 200 else None
    except OSError:
        return None


def tree(pid):
    """The process and all that descend from it."""
    pids = [pid]
    for parent in pids:
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as children:
                pids += [int(child) for child in children.read().split()]
        except OSError:
            pass
    return pids


def cpu_seconds(pid):
    """User and system time of all threads of the process tree. The kernel scales the sum of both to the
    precise run time, so its grain is one tick over the whole window."""
    ticks = 0
    for each in tree(pid):
        with open(f"/proc/{each}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_SECOND


def resident_kb(pid):
    total = 0
    for each in tree(pid):
        with open(f"/proc/{each}/status") as status:
            total += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return total


def core_times(core):
    """Of one core since boot, in seconds: (busy, idle, stolen)."""
    with open("/proc/stat") as stat:
        line = next(line for line in stat if line.startswith(f"cpu{core} "))
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, line.split()[1:9])
    busy = user + nice + system + irq + softirq
    return tuple(value / TICKS_PER_SECOND for value in (busy, idle + iowait, steal))


def count_calls(pid, command):
    """System calls of the process tree while `command` runs, and what that printed; (None, "") where perf may
    not count them."""
    perf = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter",
            "-p", ",".join(map(str, tree(pid))), *map(str, command)]
    try:
        result = subprocess.run(perf, capture_output=True, text=True, timeout=60)
        line = next(line for line in result.stderr.splitlines() if "raw_syscalls" in line)
        return float(line.split(",")[0]), result.stdout
    except (OSError, subprocess.SubprocessError, StopIteration, ValueError):
        return None, ""


def system_calls(pid, seconds):
    """The same per second, or None."""
    calls, _ = count_calls(pid, ["sleep", seconds])
    return None if calls is None else calls / seconds
