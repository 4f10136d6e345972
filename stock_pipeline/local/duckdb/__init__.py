"""DuckDB in place of Athena: the lake's tables as views, and one query on them.

The models are dbt's; the SQL that both engines share is not written here.
"""
