{# A session_table of Hive: a session is one partition. One change in the catalog moves it to a new place, as with the
   lake's own partitions. #}


{# The table without rows; columns and their types are those of the query. #}
{% macro create_hive_table(relation, sql) %}
    {% call statement('create_empty') %}
        {{ hive_table_as(relation, session_location(relation, 'table'), 'select * from (' ~ sql ~ ') as sessions where false') }}
    {% endcall %}
{% endmacro %}


{# A CREATE TABLE AS. The workgroup may have the last word about the place. #}
{% macro hive_table_as(relation, location, sql) -%}
    create table {{ relation }}
    with (
        table_type = 'hive',
        is_external = true,
        {%- if not adapter.is_work_group_output_location_enforced() %}
        external_location = '{{ location }}',
        {%- endif %}
        partitioned_by = array['year', 'month', 'day'],
        format = 'parquet',
        write_compression = 'zstd'
    ) as
    {{ sql }}
{%- endmacro %}


{# One month's sessions: written to a new place, then each partition moved there; partitions without rows are dropped. #}
{% macro publish_month(relation, sql, month, attempt) %}
    {%- set written = api.Relation.create(
        database=relation.database,
        schema=relation.schema,
        identifier=relation.identifier ~ '__new_' ~ month.year ~ '_' ~ month.month ~ '_' ~ attempt ~ '_' ~ run_suffix(),
        type='table'
    ) -%}
    {% call statement('write_month') %}
        {{ hive_table_as(written, session_location(relation, written.identifier), 'select * from (' ~ sql ~ ') as sessions where ' ~ in_month(month)) }}
    {% endcall %}
    {%- set location = adapter.get_glue_table_location(written).rstrip('/') ~ '/' -%}
    {%- set days = partition_days(written, month) -%}
    {%- set held = partition_days(relation, month) -%}
    {%- set added = days | reject('in', held) | list -%}
    {%- if added -%}
        {% do run_query(add_days(relation, month, added, location)) %}
    {%- endif -%}
    {# Another run may have added the same session first. #}
    {%- set shown = files_shown(relation, month) | join(' ') if added else '' -%}
    {%- for day in days if location ~ day_folder(month, day) ~ '/' not in shown -%}
        {% do run_query(move_day(relation, month, day, location)) %}
    {%- endfor -%}
    {%- set stale = held | reject('in', days) | list -%}
    {%- if stale -%}
        {% do run_query(drop_days(relation, month, stale)) %}
    {%- endif -%}
    {%- set rows = run_query('select count(*) from ' ~ written).rows[0][0] -%}
    {# Only the catalog's entry: the files are the table's now. #}
    {% do adapter.delete_from_glue_catalog(written) %}
    {{ return({'rows': rows, 'bytes': load_result('write_month').response.data_scanned_in_bytes or 0}) }}
{% endmacro %}


{# Days of one month that the catalog has partitions of; reads no data. #}
{% macro partition_days(relation, month) %}
    {%- set rows = run_query(
        'select day from ' ~ partitions_of(relation) ~ ' where ' ~ in_month(month) ~ ' order by day'
    ).rows -%}
    {{ return(rows | map(attribute=0) | list) }}
{% endmacro %}


{% macro add_days(relation, month, days, location) -%}
    alter table {{ relation.render_hive() }} add if not exists
    {%- for day in days %} {{ partition_of(month, day) }} location '{{ location ~ day_folder(month, day) }}'{% endfor %}
{%- endmacro %}


{# A session that is there already moves by one statement, so that it is never missing. #}
{% macro move_day(relation, month, day, location) -%}
    alter table {{ relation.render_hive() }} {{ partition_of(month, day) }} set location '{{ location ~ day_folder(month, day) }}'
{%- endmacro %}


{% macro drop_days(relation, month, days) -%}
    alter table {{ relation.render_hive() }} drop if exists
    {%- for day in days %} {{ partition_of(month, day) }}{{ ',' if not loop.last }}{% endfor %}
{%- endmacro %}


{% macro partition_of(month, day) -%}
    partition (year = {{ month.year }}, month = {{ month.month }}, day = {{ day }})
{%- endmacro %}


{% macro day_folder(month, day) -%}
    year={{ month.year }}/month={{ month.month }}/day={{ day }}
{%- endmacro %}
