"""Rebuilding the realtime table from the lake.

The catalog's rebuild is `lake.catalog_rebuild`. Redrive, which puts trades into the stream again, is `redrive`.
"""
