"""What the processes of a fleet came to: one report, also of those that died."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collar_sim.errors import OutputError
from collar_sim.firmware.log.flash_file import Remains, remains
from collar_sim.output import private_folder, require_writable, write_whole
from collar_sim.report import Report, merged
from pawmesh.errors import NoAccess
from pawmesh.sim.workforce import Worker

NOTHING_AT = datetime.fromtimestamp(0, UTC)  # of a part that simulated nothing


@dataclass(frozen=True)
class Outcome:
    """Of a fleet's run."""

    report: Report
    exit_code: int
    """0; 1 when a part of the fleet died, left no report, or never reached the broker; what all
    said, if none could begin."""


def outcome_of(workers: Sequence[Worker]) -> Outcome:
    """Of workers that have all ended."""
    report = merged([_report(worker) for worker in workers])
    if not report.died:
        return Outcome(report, 1 if report.unreached else 0)
    codes = {worker.returncode or 0 for worker in workers}
    common = codes.pop() if len(codes) == 1 else 1
    return Outcome(report, common if common > 0 else 1)


def write_report(path: Path, report: Report) -> None:
    """Write it whole or not at all.

    Raises:
        NoAccess: It cannot be written.
    """
    try:
        write_whole(path, msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    except OutputError as error:
        raise NoAccess(f"--report {error}") from error


def require_places(report: Path | None, truth: Path | None) -> None:
    """See that what a run shall leave can be written, before anything starts.

    Raises:
        NoAccess: It cannot.
    """
    try:
        if report is not None:
            require_writable(report)
        if truth is not None:
            private_folder(truth)
    except OutputError as error:
        raise NoAccess(f"Nothing was started: {error}") from error


def table(report: Report) -> list[tuple[str, str]]:
    """The report for people: what, and how much."""
    lost = report.radio_lost / report.transmissions if report.transmissions else 0.0
    pace = f"{report.real_time_factor:.2f} x real time, "
    pace += f"{report.lag_s:.1f} s late at the end, {report.max_lag_s:.1f} s at worst"
    lines = [
        ("Collars", f"{report.collars:,} in {_count(report.processes, 'process', 'processes')}"),
        ("Simulated until", _until(report)),
        ("Pace", pace if report.is_live else "the present was not reached"),
        (
            "Messages",
            f"{report.published:,} published, {report.acked:,} acknowledged, {report.owed:,} owed",
        ),
        ("By kind", _by_kind(report.by_kind)),
        (
            "Radio",
            f"{report.radio_lost:,} of {report.transmissions:,} transmissions lost ({lost:.1%})",
        ),
        ("Flash", _flash(report)),
        ("Inference", f"{report.windows:,} windows, {report.windows_per_s:,.0f} a second"),
        ("CPU time", ", ".join(f"{stage} {part:.0%}" for stage, part in report.cpu_share.items())),
        ("Memory", f"{report.rss_mb:,.0f} MB"),
    ]
    if report.messages_refused:
        what = f"{report.messages_refused:,} messages; why is at the gateway's GET /v1/rejected"
        lines.append(("Gateway refused", what))
    if report.unreached:
        advice = "Is it up, and is the login right?"
        lines.append(("Broker", f"never reached: {report.unreached}. {advice}"))
    lines += [("Refused", f"{name}: {why}") for name, why in sorted(report.refused.items())]
    lines += [("Models refused", f"{n}: {why}") for n, why in sorted(report.refused_models.items())]
    return lines + [("Died", f"process {name}: {how}") for name, how in report.died.items()]


def _until(report: Report) -> str:
    if report.simulated_until <= NOTHING_AT:
        return "nothing"
    return f"{report.simulated_until:%Y-%m-%d %H:%M:%S} UTC"


def _flash(report: Report) -> str:
    said = f"{report.overwritten:,} dropped because one was full"
    if report.dropped:
        said += f" ({_by_kind(report.dropped)})"
    return said + (f", {report.too_large:,} too large to write" if report.too_large else "")


def _by_kind(counts: Mapping[str, int]) -> str:
    kinds = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds) or "none"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _report(worker: Worker) -> Report:
    if worker.died:
        return _remains(worker, worker.died)
    try:
        return msgspec.json.decode(worker.report_path.read_bytes(), type=Report)
    except OSError as error:
        return _remains(worker, f"it left no report: {error.strerror}")
    except msgspec.DecodeError as error:
        return _remains(worker, f"its report cannot be read: {error}")


def _remains(worker: Worker, why: str) -> Report:
    """Of a worker that did not end as it should: what its flash holds, and what it said last."""
    pulse = worker.pulse
    try:
        left = remains(worker.data_dir)
    except sqlite3.Error:  # killed as it laid it out
        left = Remains()
    return Report(
        collars=pulse.collars if pulse else 0,
        published=sum(left.by_kind.values()),
        by_kind=left.by_kind,
        transmissions=pulse.transmissions if pulse else 0,
        radio_lost=pulse.radio_lost if pulse else 0,
        overwritten=left.overwritten,
        dropped=left.dropped,
        acked=left.acked,
        owed=left.owed,
        off=0,
        too_large=0,
        boots=left.boots,
        seconds=pulse.seconds if pulse else 0.0,
        windows=0,
        windows_per_s=0.0,
        simulated_until=pulse.simulated_until if pulse else NOTHING_AT,
        is_live=pulse.is_live if pulse else False,
        refused={},
        refused_models={},
        updated=0,
        windows_sent=left.by_kind.get("window", 0),
        died={worker.name: why},
    )
