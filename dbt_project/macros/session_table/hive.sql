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
{% macro publish_month(relation, sql, month) %}
    {%- set written = api.Relation.create(
        database=relation.database,
        schema=relation.schema,
        identifier=relation.identifier ~ '__new_' ~ month.year ~ '_' ~ month.month ~ '_' ~ run_suffix(),
        type='table'
    ) -%}
    {% call statement('write_month') %}
        {{ hive_table_as(written, session_location(relation, written.identifier), 'select * from (' ~ sql ~ ') as sessions where ' ~ in_month(month)) }}
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
    {%- set partitions = api.Relation.create(
        database=relation.database, schema=relation.schema, identifier=relation.identifier ~ '$partitions'
    ) -%}
    {%- set rows = run_query('select day from ' ~ partitions ~ ' where ' ~ in_month(month) ~ ' order by day').rows -%}
    {{ return(rows | map(attribute=0) | list) }}
{% endmacro %}


{# The statements that make `relation` show `days` of one month from `location`, and no other day of it. A session that is
   there already moves by one statement, and new ones come before stale ones go. #}
{% macro partition_changes(relation, month, days, held, location) %}
    {%- set statements, added, dropped = [], [], [] -%}
    {%- set name = relation.render_hive() -%}
    {%- for day in days -%}
        {%- set partition = 'partition (year = ' ~ month.year ~ ', month = ' ~ month.month ~ ', day = ' ~ day ~ ')' -%}
        {%- set place = location.rstrip('/') ~ '/year=' ~ month.year ~ '/month=' ~ month.month ~ '/day=' ~ day -%}
        {%- if day in held -%}
            {% do statements.append('alter table ' ~ name ~ ' ' ~ partition ~ " set location '" ~ place ~ "'") %}
        {%- else -%}
            {% do added.append(partition ~ " location '" ~ place ~ "'") %}
        {%- endif -%}
    {%- endfor -%}
    {%- for day in held if day not in days -%}
        {% do dropped.append('partition (year = ' ~ month.year ~ ', month = ' ~ month.month ~ ', day = ' ~ day ~ ')') %}
    {%- endfor -%}
    {%- if added %}{% do statements.append('alter table ' ~ name ~ ' add if not exists ' ~ added | join(' ')) %}{% endif -%}
    {%- if dropped %}{% do statements.append('alter table ' ~ name ~ ' drop if exists ' ~ dropped | join(', ')) %}{% endif -%}
    {{ return(statements) }}
{% endmacro %}


