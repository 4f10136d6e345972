{# Athena: see duckdb.sql for what a session_table is. Hive's tables are in hive.sql, Iceberg's in iceberg.sql. #}


{% materialization session_table, adapter='athena' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set iceberg = config.get('table_type') == 'iceberg' -%}

    {{ run_hooks(pre_hooks) }}
    {%- do refuse_full_refresh_of_a_window() %}
    {%- if config.get('contract').enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}

    {%- set rebuild = existing is not none and (should_full_refresh() or not existing.is_table) %}
    {%- if existing is none or rebuild %}
        {%- if rebuild %}{% do drop_session_table(existing) %}{% endif %}
        {%- do create_iceberg_table(target_relation, sql) if iceberg else create_hive_table(target_relation, sql) %}
    {%- else %}
        {%- do check_table_type(target_relation, 'iceberg' if iceberg else 'hive') %}
        {%- do check_same_columns(target_relation, sql) %}
    {%- endif %}

    {%- set months = window_months() if has_window() else lake_months(target_relation, iceberg) %}
    {%- set done = namespace(rows=0, bytes=0) %}
    {%- for month in months %}
        {%- set report = build_month(target_relation, sql, month, iceberg) %}
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


{# One month's sessions, built again if the lake published one of them meanwhile.

   Nothing orders two runs of one session, and no change of the catalog has a condition. So each run looks, after its last
   change, whether the trades that it read are still the published ones. Who writes last finds out that it is late, and
   goes on. A run that dies before it looks leaves a whole session, of its trades or of newer ones, until the next run. #}
{% macro build_month(relation, sql, month, iceberg) %}
    {%- set state = namespace(files=published_files(month), done=false, rows=0, bytes=0) -%}
    {%- for attempt in range(5) if not state.done -%}
        {%- set report = merge_month(relation, sql, month) if iceberg else publish_month(relation, sql, month, attempt) -%}
        {%- set files = published_files(month) -%}
        {%- set state.done = files == state.files -%}
        {%- set state.files = files -%}
        {%- set state.rows = report.rows -%}
        {%- set state.bytes = state.bytes + report.bytes -%}
    {%- endfor -%}
    {%- if not state.done -%}
        {% do exceptions.raise_compiler_error(
            'sessions of ' ~ month.year ~ '-' ~ month.month ~ ' are published all the time, so ' ~ relation
            ~ ' may have older rows of them: run again'
        ) %}
    {%- endif -%}
    {{ return({'rows': state.rows, 'bytes': state.bytes}) }}
{% endmacro %}


{# The files of one month's published versions, which say what they are of. Reads no column. #}
{% macro published_files(month) %}
    {{ return(files_shown(source('lake', 'trades'), month)) }}
{% endmacro %}


{# The paths of the files that a query of one month of the table reads. #}
{% macro files_shown(relation, month) %}
    {%- set rows = run_query('select distinct "$path" from ' ~ relation ~ ' where ' ~ in_month(month)).rows -%}
    {{ return(rows | map(attribute=0) | sort) }}
{% endmacro %}


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
    {%- for row in run_query(sql).rows | sort(attribute='0,1') -%}
        {% do months.append({'year': row[0], 'month': row[1], 'first_day': 1, 'last_day': 31}) %}
    {%- endfor -%}
    {{ return(months) }}
{% endmacro %}


{# With the files of every run: those of the table's own location are not all of them. #}
{% macro drop_session_table(relation) %}
    {% do drop_relation(relation) %}
    {% do adapter.delete_from_s3(session_folder(relation)) %}
{% endmacro %}


{# A place of its own for each run: nobody reads there before the run says so in the catalog. #}
{% macro session_location(relation, folder) -%}
    {{ return(session_folder(relation) ~ folder ~ '-' ~ run_suffix() ~ '/') }}
{%- endmacro %}


{% macro session_folder(relation) -%}
    {{ return(target.s3_data_dir.rstrip('/') ~ '/' ~ relation.schema ~ '/' ~ relation.identifier ~ '/') }}
{%- endmacro %}


{% macro run_suffix() %}{{ return(invocation_id.replace('-', '')[:16]) }}{% endmacro %}
