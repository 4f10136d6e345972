"""`make demo`: one session through the whole pipeline, with its figures checked and shown.

Services belong to the local stack, the Dagster job to `orchestration`.
"""
