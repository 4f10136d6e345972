"""Trades in vendors' files: which format a file has, and its rows as trades. It needs polars: no Lambda imports it."""
