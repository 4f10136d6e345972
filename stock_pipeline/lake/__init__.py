"""The lake's files: compaction, its proof, garbage collection, the catalog's rebuild.

Object keys belong to `domain.lake_layout`; plans to `domain`.
"""
