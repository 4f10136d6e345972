# Dagster in an account: code location, webserver, daemon, runs and the websocket producer are one image, five commands.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv /opt/venv
COPY infra/dagster/requirements.txt .
# with bytecode: nobody in the container may write it, and each run starts a process
RUN uv pip install --python /opt/venv/bin/python --compile-bytecode --require-hashes --no-deps -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY stock_pipeline stock_pipeline
COPY dbt_project dbt_project
# The command, without installing the project: dbt's models lie beside it.
RUN printf '#!/opt/venv/bin/python\nfrom stock_pipeline.cli import main\nraise SystemExit(main())\n' \
    > /opt/venv/bin/stock-pipeline && chmod 755 /opt/venv/bin/stock-pipeline
# The dbt manifest is prepared here: without it each run would parse the project again.
ENV DAGSTER_DISABLE_TELEMETRY=yes DO_NOT_TRACK=1
RUN PYTHONPATH=/build /opt/venv/bin/stock-pipeline dbt-parse --target athena

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --create-home dagster
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/stock_pipeline \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/opt/dagster \
    DAGSTER_DISABLE_TELEMETRY=yes \
    DO_NOT_TRACK=1
COPY --from=build /opt/venv /opt/venv
# dbt writes its logs and compiled models beside its project
COPY --from=build --chown=dagster /build /opt/stock_pipeline
COPY --chown=dagster infra/dagster/dagster.yaml infra/dagster/workspace.yaml /opt/dagster/
USER dagster
WORKDIR /opt/dagster
