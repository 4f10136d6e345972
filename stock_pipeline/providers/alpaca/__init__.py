"""Alpaca Market Data: trades by REST (`rest`) and by websocket (`stream`), read by one set of rules (`trade`).

How an API is asked at all (budget, retries, credentials) is `providers.client`'s.
"""
