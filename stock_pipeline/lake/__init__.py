"""Files of the lake: reading raw trades, compacting, proving. Parquet in, Parquet out; where objects lie is
`domain.lake_layout`, and what is to be done is planned by `domain.compaction_plan`.
"""
