# Dagster in an account: code location, webserver, daemon, runs and the websocket producer are one image, five commands.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements-uv.txt infra/dagster/requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.txt && python -m venv /opt/venv
# with bytecode: nobody in the container may write it, and each run starts a process
RUN uv pip install --python /opt/venv/bin/python --compile-bytecode --require-hashes --no-deps -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY stock_pipeline stock_pipeline
COPY dbt_project dbt_project
# The page's chart alone: the package that brings it would bring pandas, too.
COPY infra/dagster/chart.txt ./
RUN uv pip install --target /chart --no-deps --require-hashes -r chart.txt \
    && install -D --mode=444 /chart/lwcharts/vendor/lightweight-charts.standalone.production.js \
        stock_pipeline/serving/vendor/lightweight-charts.standalone.production.js
# The command, without installing the project: dbt's models lie beside it.
RUN printf '#!/opt/venv/bin/python\nfrom stock_pipeline.cli import main\nraise SystemExit(main())\n' \
    > /opt/venv/bin/stock-pipeline && chmod 755 /opt/venv/bin/stock-pipeline
# The dbt manifest is prepared here: without it each run would parse the project again.
ENV DAGSTER_DISABLE_TELEMETRY=yes DO_NOT_TRACK=1
RUN PYTHONPATH=/build /opt/venv/bin/stock-pipeline dbt-parse --target athena

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --create-home dagster && install --directory --owner=10001 --group=10001 /scratch
# what RDS's certificates are checked against, in GovCloud by another one:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
ADD --chmod=444 https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem /opt/dagster/rds-ca.pem
ADD --chmod=444 https://truststore.pki.us-gov-west-1.rds.amazonaws.com/global/global-bundle.pem /opt/dagster/rds-ca-us-gov.pem
# polars' allocator keeps freed pages for five seconds: a twelfth of compaction's CPU for 60 MB (docs/performance.md)
ENV _RJEM_MALLOC_CONF=dirty_decay_ms:5000
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/stock_pipeline \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/opt/dagster \
    DAGSTER_DISABLE_TELEMETRY=yes \
    DO_NOT_TRACK=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /build /opt/stock_pipeline
COPY infra/dagster/dagster.yaml infra/dagster/workspace.yaml infra/dagster/database_login.py /opt/dagster/
# the only places to write where the root is read-only; ECS takes over whose they are
VOLUME ["/tmp", "/scratch"]
# by number, so that whoever runs it can see that it is not root
USER 10001:10001
WORKDIR /opt/dagster
