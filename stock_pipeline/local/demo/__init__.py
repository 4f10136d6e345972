"""`make demo`: one session through the whole pipeline, with its figures checked and shown.

Steps, sources, display and example queries. The services are the local stack's, the Dagster job `orchestration`'s.
"""
