"""The load's report on a terminal. No figure is computed here."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from stock_pipeline.local.load.report import LoadReport


def print_load_report(console: Console, report: LoadReport, measures: Mapping[str, float]) -> None:
    _print_accounting(console, report)
    _print_faults(console, report)
    _print_measures(console, report, measures)


def _print_accounting(console: Console, report: LoadReport) -> None:
    accounting = report.accounting
    _heading(console, "Accounting of every line")
    _line(
        console,
        f"simulated {accounting.simulated:,} + put twice {accounting.put_twice:,} + redriven {accounting.redriven:,}",
    )
    _line(
        console,
        f"= in the lake {accounting.in_lake:,} + duplicates {accounting.duplicates:,} + rejected "
        f"{accounting.rejected:,} + given up into failed/ {accounting.given_up:,}   "
        + ("✓ balances" if accounting.balances else "✗ DOES NOT BALANCE"),
    )
    ledger = report.ledger
    _line(
        console,
        f"among them {ledger.repeats:,} repeated, {ledger.late:,} late, {ledger.reordered:,} reordered, "
        f"{ledger.corrected:,} corrected, {ledger.cancelled:,} cancelled, {ledger.rejected.total():,} broken",
    )
    again = report.lake.rows_written - report.lake.rows_of_stream
    _line(console, f"rows that retries wrote again: {again:,}")


def _print_faults(console: Console, report: LoadReport) -> None:
    _heading(console, "Faults injected")
    if not report.faults:
        _line(console, "none")
        return
    table = Table(box=None, padding=(0, 0, 0, 2), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for fault, count in report.faults.items():
        table.add_row(fault.replace("_", " "), f"{count:,}")
    console.print(table)


def _print_measures(console: Console, report: LoadReport, measures: Mapping[str, float]) -> None:
    _heading(console, "Measured")
    traffic = report.traffic
    _line(
        console,
        f"{report.trades_per_second:,.0f} trades a second: {report.ledger.trades:,} in {traffic.seconds:,.1f} s, "
        f"{traffic.records:,} records, {traffic.invocations:,} invocations",
    )
    _line(
        console,
        f"peak memory {measures['peak_mb']:,.0f} MB here, {measures['services_peak_mb']:,.0f} MB in the local services "
        "(the whole stream and lake)",
    )
    _line(
        console,
        f"CPU {measures['cpu_seconds']:,.1f} s here, {measures['services_cpu_seconds']:,.1f} s in the local services",
    )


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold", highlight=False)


def _line(console: Console, text: str) -> None:
    console.print(f"  {text}", highlight=False, soft_wrap=True)
