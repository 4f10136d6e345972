"""The live page and the read API over a follower of the raw zone.

`trade_rows` reads files, `live_session` folds them into bars, `follower` finds them; `board` makes the figures of
symbols, `app` answers requests. Alerts, dead letters and compaction belong to other packages.
"""
