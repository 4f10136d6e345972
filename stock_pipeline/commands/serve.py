"""`stock-pipeline serve`: the live page and the read API."""

import argparse
import socket
import time
from typing import TYPE_CHECKING

from stock_pipeline.commands.alert_rules import add_rules, rules_of
from stock_pipeline.commands.environment import BUCKET, TABLE, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, whole
from stock_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stock_pipeline.domain.price_alert import Rule
    from stock_pipeline.serving.service import Service
    from stock_pipeline.wiring import Wiring

LOOPBACK = "127.0.0.1"
KEPT_SECONDS = {"local": 30.0, "athena": 900.0}
"""How long answers of the models are kept: on Athena each costs a query."""

PIPELINE_SECONDS = {"local": 5.0, "athena": 60.0}
ACTIONS_SECONDS = 900.0


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "serve",
        summary="serve the live page and the read API",
        description="Follows the newest session of the lake, and serves its prices and bars as a page, as JSON "
        "(/api/v1/openapi.json says what there is) and as a stream of changes. It reads only, but for the price "
        "alerts that it told. It asks nobody who they are: on another address than loopback put it behind something "
        "that does.",
        example="stock-pipeline serve --env dev --port 8080",
    )
    parser.add_argument("--host", default=LOOPBACK, help=f"address to listen on (default: {LOOPBACK})")
    parser.add_argument("--port", type=whole(0, 65_535), default=8080, help="port to listen on (default: 8080)")
    add_rules(parser)
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import asyncio

    from stock_pipeline.serving.app import application
    from stock_pipeline.serving.events import Events
    from stock_pipeline.serving.server import Server
    from stock_pipeline.wiring import Wiring

    rules = rules_of(options.alerts)
    settings = settings_of(options, BUCKET, TABLE)
    with listening(options.host, options.port) as listener, Wiring.open(settings) as wiring:
        events = Events()
        server = Server(application(service_of(wiring, rules), events), events)
        host, port = listener.getsockname()[:2]
        print(f"serving on http://{host}:{port}", flush=True)
        if rules:
            print(f"watching {len(rules)} price alert rules of {options.alerts}", flush=True)
        asyncio.run(server.serve([listener]))
    return 0


def service_of(wiring: "Wiring", rules: "tuple[Rule, ...]" = ()) -> "Service":
    from stock_pipeline.aws.shown_state import ShownStates
    from stock_pipeline.commands.page_facts import actions_of, pipeline_of
    from stock_pipeline.commands.query import ask
    from stock_pipeline.serving.facts import Facts, Kept
    from stock_pipeline.serving.follower import Follower
    from stock_pipeline.serving.history import History
    from stock_pipeline.serving.price_alerts import PriceAlerts
    from stock_pipeline.serving.service import Service
    from stock_pipeline.wiring import utc_now

    settings = wiring.settings
    return Service(
        follower=Follower(wiring.objects, wiring.partition, utc_now),
        states=ShownStates(wiring.clients.dynamodb, settings.state_table_name, settings.moving_average_windows),
        windows=wiring.state_table,
        history=History(
            lambda sql: ask(settings, sql, note=lambda _text: None).rows,
            time.monotonic,
            KEPT_SECONDS[settings.dbt_target],
        ),
        facts=Facts(
            Kept(lambda: pipeline_of(wiring), PIPELINE_SECONDS[settings.dbt_target], time.monotonic),
            Kept(lambda: actions_of(wiring), ACTIONS_SECONDS, time.monotonic),
        ),
        now=utc_now,
        alerts=PriceAlerts(rules, wiring.objects, _topic(wiring), lambda line: print(line, flush=True), utc_now),
    )


def _topic(wiring: "Wiring") -> "Callable[[str, str], None] | None":
    from stock_pipeline.aws.alert_topic import AlertTopic

    arn = wiring.settings.alert_topic_arn
    return AlertTopic(wiring.clients.sns, arn).send if arn else None


def listening(host: str, port: int) -> socket.socket:
    # named, because asyncio sends small writes at once only where it is: else each answer waits 40 ms for the client
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"{host}:{port} can't be listened on ({error.strerror}): choose another --port") from error
    listener.listen(128)
    return listener
