"""Medians, ratios, bars; as text, as Markdown, as JSON."""

import os
import platform
import statistics

COLUMNS = [  # figure, heading, format
    ("requests_per_s", "requests/s", "{:.0f}"),
    ("us_per_request", "us/request", "{:.2f}"),
    ("gb_per_s", "GB/s", "{:.2f}"),
    ("cpu_s_per_gb", "CPU-s/GB", "{:.2f}"),
    ("packets_per_s", "packets/s", "{:.0f}"),
    ("cpu_s_per_million", "CPU-s/million", "{:.2f}"),
    ("lost_per_million", "lost/million", "{:.0f}"),
    ("us_per_viewer_s", "us/viewer-s", "{:.0f}"),
    ("kb_per_viewer", "KB/viewer", "{:.1f}"),
    ("calls_per_viewer_s", "calls/viewer-s", "{:.1f}"),
    ("join_p50_ms", "join p50 ms", "{:.1f}"),
    ("join_p99_ms", "join p99 ms", "{:.1f}"),
    ("after_first_byte_p99_ms", "after 1st byte p99 ms", "{:.0f}"),
    ("latency_p50_ms", "latency p50 ms", "{:.2f}"),
    ("latency_p99_ms", "latency p99 ms", "{:.2f}"),
    ("largest_gap_ms", "gap ms", "{:.0f}"),
    ("calls_per_request", "calls/request", "{:.2f}"),
    ("first_byte_p50_ms", "first byte p50 ms", "{:.2f}"),
    ("first_byte_p99_ms", "first byte p99 ms", "{:.2f}"),
    ("last_byte_p50_ms", "after last byte p50 ms", "{:.2f}"),
    ("last_byte_p99_ms", "after last byte p99 ms", "{:.2f}"),
    ("resident_mb", "resident MB", "{:.1f}"),
    ("mb_per_cached_mb", "MB/cached MB", "{:.2f}"),
    ("cache_files_mb", "files MB", "{:.1f}"),
    ("fetches_per_object", "fetches/object", "{:.2f}"),
    ("upstream", "upstream", "{:.0f}"),
    ("lost_frames", "frames lost", "{:.0f}"),
    ("trouble", "viewers lost", "{:.0f}"),
    ("failed", "failed", "{:.0f}"),
]
RATIOS = {"cpu_s_per_gb", "cpu_s_per_million", "us_per_viewer_s", "kb_per_viewer", "calls_per_viewer_s", "join_p50_ms",
          "join_p99_ms", "latency_p50_ms", "latency_p99_ms", "largest_gap_ms", "requests_per_s",
          "us_per_request", "gb_per_s", "calls_per_request", "first_byte_p50_ms",
          "first_byte_p99_ms", "last_byte_p50_ms", "last_byte_p99_ms"}


def medians(runs):
    """Per figure over the runs of one side; what no run could tell is None."""
    figures = {}
    for figure in {figure for run in runs for figure in run}:
        values = [run[figure] for run in runs if run.get(figure) is not None]
        figures[figure] = statistics.median(values) if values else None
    return figures


def judge(bar, sides):
    """(value, verdict) where the verdict is pass, miss, or n/a when a side has no figures."""
    value = sides.get(bar.side, {}).get(bar.figure)
    if value is None:
        return None, "n/a"
    if bar.how != "value":
        base = sides.get(bar.against, {}).get(bar.figure)
        if base is None or (bar.how == "ratio" and base <= 0):
            return None, "n/a"
        value = value / base if bar.how == "ratio" else value - base
    return value, "pass" if value <= bar.limit else "miss"


def doubts(figures):
    """Why a side's figures should not be believed, if so."""
    found = []
    if (figures.get("server_core_foreign") or 0) > 0.1:
        found.append(f"others used {figures['server_core_foreign']:.0%} of the server's core")
    if (figures.get("delivered") or 1) < 0.95:
        found.append(f"viewers got {figures['delivered']:.0%} of the stream: something fell behind")
    if figures.get("load_core_idle", 1) < 0.05:
        found.append("the load generator's core was full")
    if figures.get("stolen", 0) > 0.05:
        found.append(f"{figures['stolen']:.0%} of the time was stolen by the host")
    return found


def table(scenario, sides, markdown=False):
    shown = [column for column in COLUMNS
             if any(figures.get(column[0]) is not None for figures in sides.values())]
    rows = [[""] + [heading for _, heading, _ in shown]]
    for label, figures in sides.items():
        rows.append([label] + [show(figures.get(figure), form) for figure, _, form in shown])
    weir = sides.get("weir")
    for label, figures in sides.items() if weir else ():
        if label == "weir":
            continue
        rows.append([f"weir : {label}"] + [
            show(weir[figure] / figures[figure], "{:.2f}")
            if figure in RATIOS and weir.get(figure) is not None and (figures.get(figure) or 0) > 0
            else "" for figure, _, _ in shown])
    return align(rows, markdown)


def bars(judged, markdown=False):
    rows = [["bar", "limit", "measured", "verdict"]]
    for bar, value, verdict in judged:
        rows.append([bar.what, f"{bar.limit:g}", show(value, "{:.3g}" if (value or 0) < 100 else "{:.0f}"),
                     verdict])
    return align(rows, markdown)


def show(value, form):
    return "-" if value is None else form.format(value)


def align(rows, markdown):
    if markdown:
        rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                      for i, (cell, width) in enumerate(zip(row, widths)))
                     for row in rows)


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo
                      if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, loopback"


def document(results, pace, runs):
    """The results as a chapter for docs/benchmarks.md."""
    parts = [f"{machine()}. Median of {runs} run{'s' * (runs != 1)}, {pace.window:g} s each after "
             f"{pace.warmup:g} s of warm-up."]
    for scenario, sides, judged, notes in results:
        parts += [f"### {scenario.title}", table(scenario, sides, True), bars(judged, True)]
        parts += [f"Note: {note}." for note in notes]
    return "\n\n".join(parts) + "\n"
