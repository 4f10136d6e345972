"""Every alarm and every check has its section in the runbook."""

import re
from pathlib import Path

from stock_pipeline.commands.page_facts import runbook_section
from stock_pipeline.definitions import build_definitions
from stock_pipeline.settings import Settings
from tests.support.alarms import planned_alarms

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def sections(part: str) -> set[str]:
    """Return the names in the headings of one part."""
    text = RUNBOOK.split(f"\n## {part}\n", 1)[1].split("\n## ", 1)[0]
    return {
        name for heading in re.findall(r"^### (.+)$", text, re.MULTILINE) for name in re.findall("`(.+?)`", heading)
    }


def test_every_alarm_has_its_section_and_every_section_its_alarm() -> None:
    alarms = {name for environment in ("dev", "prod") for name in planned_alarms(environment)}
    assert alarms
    # neither environment serves the page before it has a certificate and an identity provider
    assert sections("Alarms") == alarms | {"page-stopped"}


def test_the_page_leads_from_every_alarm_to_its_section() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for environment in ("dev", "prod"):
        settings = Settings.from_env({"ENVIRONMENT": environment, "RUNBOOK_URL": "https://example.com/runbook.md"})
        for name in planned_alarms(environment):
            address, _, anchor = runbook_section(f"stock-pipeline-{environment}-{name}", settings).partition("#")
            assert address == settings.runbook_url
            assert anchor in anchors
    assert runbook_section("stock-pipeline-dev-freshness", Settings.from_env({})) == "docs/runbook.md#freshness"


def test_every_check_has_its_section() -> None:
    names = sections("Checks")
    checks = build_definitions(Settings.from_env({})).resolve_asset_graph().asset_check_keys
    assert checks
    without = {check.name for check in checks if not any(is_named(check.name, name) for name in names)}
    assert without == set()


def is_named(check: str, section: str) -> bool:
    start, dots, end = section.partition("…")
    return check.startswith(start) and check.endswith(end) if dots else check == section


def test_every_schedule_and_sensor_is_in_the_list_to_switch_on() -> None:
    repository = build_definitions(Settings.from_env({"DBT_TARGET": "athena"})).get_repository_def()
    names = {one.name for one in (*repository.schedule_defs, *repository.sensor_defs)}
    first_day = RUNBOOK.split("## The first day in an account", 1)[1].split("\n## ", 1)[0]
    assert names - {"default_automation_condition_sensor"} == set(re.findall(r"`(\w+)`", first_day))
