"""Puts the page's chart library into the wheel, so that who installs it needs no other package for it."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CHART = "lightweight-charts.standalone.production.js"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # a checkout reads it where it is installed
        spec = find_spec("lwcharts")
        if spec is None or spec.origin is None:
            raise RuntimeError("the page's chart is missing: install lwcharts (the group dev has it), then build again")
        chart = Path(spec.origin).parent / "vendor" / CHART
        build_data["force_include"][str(chart)] = f"stock_pipeline/serving/vendor/{CHART}"
