{# Athena: see duckdb.sql for what a session_table is. On Hive a session is one partition. One change in the catalog
   moves it to a new place, as with the lake's own partitions. On Iceberg a month is one MERGE. #}
{% materialization session_table, adapter='athena' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set iceberg = config.get('table_type') == 'iceberg' -%}

    {{ run_hooks(pre_hooks) }}
    {%- do refuse_full_refresh_of_a_window() %}
    {%- if config.get('contract').enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}

    {%- set rebuild = existing is not none and (should_full_refresh() or not existing.is_table) %}
    {%- if existing is none or rebuild %}
        {%- if rebuild %}{% do drop_relation(existing) %}{% endif %}
        {%- do create_empty_session_table(target_relation, sql, iceberg) %}
    {%- else %}
        {%- do check_same_columns(target_relation, sql) %}
    {%- endif %}

    {%- set months = window_months() if has_window() else lake_months(target_relation, iceberg) %}
    {%- set done = namespace(rows=0, bytes=0) %}
    {%- for month in months %}
        {%- set report = merge_month(target_relation, sql, month) if iceberg else publish_month(target_relation, sql, month) %}
        {%- set done.rows = done.rows + report.rows %}
        {%- set done.bytes = done.bytes + report.bytes %}
    {%- endfor %}

    {# The adapter takes a run's figures from a row of this form. #}
    {% call statement('main') %}
        select '{"rowcount":{{ done.rows }},"data_scanned_in_bytes":{{ done.bytes }}}'
    {% endcall %}
    {{ run_hooks(post_hooks) }}
    {% do persist_docs(target_relation, model) %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{# Every month of which the lake or the table has a partition. Lists no files. #}
{% macro lake_months(relation, iceberg) %}
    {%- set sql -%}
        select distinct year, month from {{ published_partitions() }}
        union
        select distinct year, month from {{ partitions_of(source('lake', 'unpublished_trades')) }}
        union
        select distinct year, month from {{ relation if iceberg else partitions_of(relation) }}
    {%- endset -%}
    {%- set months = [] -%}
    {%- for row in run_query(sql).rows | sort -%}
        {% do months.append({'year': row[0], 'month': row[1], 'first_day': 1, 'last_day': 31}) %}
    {%- endfor -%}
    {{ return(months) }}
{% endmacro %}


{# The table without rows; columns and their types are those of the query. #}
{% macro create_empty_session_table(relation, sql, iceberg) %}
    {%- set partitions = ['month(session_date)'] if iceberg else ['year', 'month', 'day'] -%}
    {%- set location = session_location(relation, 'table') -%}
    {% call statement('create_empty') %}
        create table {{ relation }}
        with (
            table_type = '{{ 'iceberg' if iceberg else 'hive' }}',
            is_external = {{ 'false' if iceberg else 'true' }},
            {%- if iceberg or not adapter.is_work_group_output_location_enforced() %}
            {{ 'location' if iceberg else 'external_location' }} = '{{ location }}',
            {%- endif %}
            {{ 'partitioning' if iceberg else 'partitioned_by' }} = array['{{ partitions | join("', '") }}'],
            format = 'parquet',
            write_compression = 'zstd'
        ) as
        select * from ({{ sql }}) as sessions where false
    {% endcall %}
{% endmacro %}


{# One month's sessions: written to a new place, then each partition moved there; partitions without rows are dropped. #}
{% macro publish_month(relation, sql, month) %}
    {%- set written = api.Relation.create(
        database=relation.database,
        schema=relation.schema,
        identifier=relation.identifier ~ '__new_' ~ month.year ~ '_' ~ month.month ~ '_' ~ run_suffix(),
        type='table'
    ) -%}
    {% call statement('write_month') %}
        create table {{ written }}
        with (
            table_type = 'hive',
            is_external = true,
            {%- if not adapter.is_work_group_output_location_enforced() %}
            external_location = '{{ session_location(relation, written.identifier) }}',
            {%- endif %}
            partitioned_by = array['year', 'month', 'day'],
            format = 'parquet',
            write_compression = 'zstd'
        ) as
        select * from ({{ sql }}) as sessions where {{ in_month(month) }}
    {% endcall %}
    {%- set location = adapter.get_glue_table_location(written) -%}
    {%- set days = partition_days(written, month) -%}
    {%- set held = partition_days(relation, month) -%}
    {%- for statement_sql in partition_changes(relation, month, days, held, location) -%}
        {% do run_query(statement_sql) %}
    {%- endfor -%}
    {%- set rows = run_query('select count(*) from ' ~ written).rows[0][0] -%}
    {# Only the catalog's entry: the files are the table's now. #}
    {% do adapter.delete_from_glue_catalog(written) %}
    {{ return({'rows': rows, 'bytes': load_result('write_month').response.data_scanned_in_bytes or 0}) }}
{% endmacro %}


{# Days of one month that the catalog has partitions of; reads no data. #}
{% macro partition_days(relation, month) %}
    {%- set rows = run_query('select day from ' ~ partitions_of(relation) ~ ' where ' ~ in_month(month) ~ ' order by day').rows -%}
    {{ return(rows | map(attribute=0) | list) }}
{% endmacro %}


{# Iceberg: one commit. Rows that the month has no more come as rows to delete. #}
{% macro merge_month(relation, sql, month) %}
    {%- set columns = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {% call statement('merge_month') %}
        {{ merge_sql(relation, sql, month, columns, config.get('meta', {}).get('grain')) }}
    {% endcall %}
    {%- set rows = run_query('select count(*) from ' ~ relation ~ ' where ' ~ in_month(month)).rows[0][0] -%}
    {{ return({'rows': rows, 'bytes': load_result('merge_month').response.data_scanned_in_bytes or 0}) }}
{% endmacro %}


{# A place of its own for each run: nobody reads there before the partition moves. #}
{% macro session_location(relation, folder) -%}
    {{ return(target.s3_data_dir.rstrip('/') ~ '/' ~ relation.schema ~ '/' ~ relation.identifier ~ '/' ~ folder ~ '-' ~ run_suffix() ~ '/') }}
{%- endmacro %}


{% macro run_suffix() %}{{ return(invocation_id.replace('-', '')[:16]) }}{% endmacro %}
