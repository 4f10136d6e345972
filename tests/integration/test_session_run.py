"""The session's job, run in this process: how it ends when it does not end well."""

import os
import signal
import time
from datetime import date

import dagster as dg
import pytest

from stock_pipeline.errors import PermanentError
from stock_pipeline.orchestration.partitions import session_partitions
from stock_pipeline.orchestration.session_run import run_session
from stock_pipeline.settings import Settings


def definitions(asset: dg.AssetsDefinition) -> dg.Definitions:
    return dg.Definitions(assets=[asset], jobs=[dg.define_asset_job("session", [asset])])


def test_ctrl_c_during_a_step_is_no_failed_step() -> None:
    @dg.asset(partitions_def=session_partitions(Settings.from_env({}).first_session))
    def trades() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(20)  # is interrupted

    with pytest.raises(KeyboardInterrupt):
        run_session(definitions(trades), "session", date(2018, 1, 2), lambda _step: None)


def test_a_step_that_fails_is_named() -> None:
    @dg.asset(partitions_def=session_partitions(Settings.from_env({}).first_session))
    def trades() -> None:
        raise ValueError("no such column")

    with pytest.raises(PermanentError, match=r"step trades of session 2018-01-02 failed: .*no such column"):
        run_session(definitions(trades), "session", date(2018, 1, 2), lambda _step: None)


def test_a_day_without_trading_is_refused() -> None:
    @dg.asset(partitions_def=session_partitions(Settings.from_env({}).first_session))
    def trades() -> None: ...

    with pytest.raises(PermanentError, match="2018-01-01 is not a trading day"):
        run_session(definitions(trades), "session", date(2018, 1, 1), lambda _step: None)
