"""A batch with all of its CPU: held windows are read, items made and written, by boto3 calls that are answered before
they reach a socket.

The other ways read and write one item a symbol too, with the window as JSON in it, and no condition: the least that
brings their state through the death of a process.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from botocore.awsrequest import AWSResponse

from bench.processor.batches import AVERAGE_WINDOWS, Batch
from bench.processor.contenders import Pipeline, Run
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.streaming.held_items import HeldItems

KEYS_A_READ = 100
TABLE = "stock-realtime"


class AnsweredClient:
    """A boto3 client of DynamoDB whose calls end before the socket. items: the answer's JSON, by symbol."""

    def __init__(self, items: dict[str, str]) -> None:
        self._items = items
        self.writes = 0
        self.client = Clients("us-east-1", credentials=("key", "secret"), hurried=True).dynamodb
        answer: Any = self._answer  # botocore's types allow no answer, its documentation does
        self.client.meta.events.register("before-send.dynamodb.*", answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        body = b"{}"
        if b"BatchGetItem" in request.headers["X-Amz-Target"]:
            keys = json.loads(request.body)["RequestItems"][TABLE]["Keys"]
            found = ",".join(self._items[key["symbol"]["S"]] for key in keys)
            body = b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (TABLE.encode(), found.encode())
        else:
            self.writes += 1
        headers: Any = {"content-type": "application/x-amz-json-1.0", "x-amz-crc32": str(zlib.crc32(body))}
        return AWSResponse(request.url, 200, headers, _Body(body))


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body


class WholePipeline(Pipeline):
    """This project's processor with the table's adapter. is_warm: its items are known from the batch before."""

    def __init__(self, batch: Batch, is_warm: bool) -> None:
        super().__init__(batch)
        self.table = AnsweredClient({key.symbol: _answered(item._asdict()) for key, item in batch.items.items()})
        held = HeldItems()
        for item in batch.items.values() if is_warm else ():
            held.keep(item)
        store = StateTable(self.table.client, TABLE, AVERAGE_WINDOWS, time_to_live_days=7)
        self._processor = replace(self._processor, state_store=store, held=held)


class WholeLoop:
    """Another way, with a read and a write a symbol around it."""

    def __init__(self, batch: Batch, contender: Callable[[Batch], Run]) -> None:
        self._run: Any = contender(batch)
        windows = {key.symbol: json.dumps([_row(trade) for trade in rows]) for key, rows in batch.windows.items()}
        self.table = AnsweredClient(
            {symbol: json.dumps({"symbol": {"S": symbol}, "window": {"S": text}}) for symbol, text in windows.items()}
        )
        self._windows = windows

    def __call__(self) -> None:
        self._run()
        client: Any = self.table.client
        keys = [SymbolKey(*key) for key in self._run.shown]
        for start in range(0, len(keys), KEYS_A_READ):
            some = [{"symbol": {"S": key.symbol}, "feed": {"S": key.feed}} for key in keys[start : start + KEYS_A_READ]]
            response = client.batch_get_item(RequestItems={TABLE: {"Keys": some}})
            for item in response["Responses"][TABLE]:
                json.loads(item["window"]["S"])
        for key in keys:
            latest, averages = self._run.shown[key]
            client.put_item(
                TableName=TABLE,
                Item={
                    "symbol": {"S": key.symbol},
                    "feed": {"S": key.feed},
                    "price": {"N": str(latest.price)},
                    "volume": {"N": str(latest.volume)},
                    "event_time_ns": {"N": str(latest.event_time_ns)},
                    **{
                        f"sma_{window}": {"N": str(average)}
                        for window, average in zip(AVERAGE_WINDOWS, averages, strict=True)
                    },
                    "window": {"S": self._windows[key.symbol]},
                },
            )


def _row(trade: Trade) -> list[Any]:
    return [trade.event_id, str(trade.price), str(trade.volume), trade.event_time_ns]


def _answered(item: dict[str, Any]) -> str:
    return json.dumps(
        {
            "symbol": {"S": item["key"].symbol},
            "feed": {"S": item["key"].feed},
            "revision": {"S": item["revision"]},
            "trade_window": {"B": b64encode(item["window"]).decode()},
        }
    )
