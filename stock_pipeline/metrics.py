"""All metrics of the pipeline. Tests compare docs/metrics.md, the alarms and the dashboard with this list.

A metric is named and explained beside the report that measures it; no metric is defined here.
"""

from stock_pipeline.orchestration import watch_report
from stock_pipeline.redrive import report
from stock_pipeline.streaming import batch_report, poll_report, stream_sink

METRICS = (*batch_report.METRICS, *poll_report.METRICS, *stream_sink.METRICS, *report.METRICS, *watch_report.METRICS)
