"""Alpaca Market Data: trades by REST (`rest`) and by websocket (`stream`), read by one set of rules (`trade`).

Budget, retries and credentials belong to `providers.client`.
"""
