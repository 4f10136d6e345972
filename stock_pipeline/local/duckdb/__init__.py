"""DuckDB in place of Athena: the lake's tables as views, and one query on them.

Models and shared SQL belong to `dbt_project`.
"""
