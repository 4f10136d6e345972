"""The three example queries that the project promises, for a date of the user's choice."""

from datetime import date
from typing import NamedTuple


class ExampleQuery(NamedTuple):
    title: str
    sql: str


def example_queries(session_date: date, symbol: str) -> tuple[ExampleQuery, ExampleQuery, ExampleQuery]:
    """Return average prices, one symbol's prices over the day, and the year's top five by volume.

    They are plain Athena SQL over the view `stock_market_data`; DuckDB takes the same text.
    """
    day = f"year = {session_date.year} AND month = {session_date.month} AND day = {session_date.day}"
    name = symbol.replace("'", "''")
    return (
        ExampleQuery(
            "Average price of each symbol",
            f"SELECT symbol, AVG(price) AS avg_price FROM stock_market_data WHERE {day} GROUP BY symbol",
        ),
        ExampleQuery(
            f"Intraday trend of {symbol}",
            f"SELECT event_time, price FROM stock_market_data WHERE symbol = '{name}' AND {day} ORDER BY event_time",
        ),
        ExampleQuery(
            "Top five by volume in the year",
            "SELECT symbol, SUM(volume) AS total_volume FROM stock_market_data "
            f"WHERE year = {session_date.year} GROUP BY symbol ORDER BY total_volume DESC LIMIT 5",
        ),
    )
