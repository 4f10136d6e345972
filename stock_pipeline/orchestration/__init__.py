"""The historical side in Dagster: assets, checks, partitions, resources. The only place that imports dagster.

Assets stay thin: read, call pure code, write, report.
"""
