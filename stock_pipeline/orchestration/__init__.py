"""The pipeline in Dagster: assets, checks, sensors, partitions, resources. Only this and `definitions` import dagster.

Assets stay thin: read, call pure code, write, report.
"""
