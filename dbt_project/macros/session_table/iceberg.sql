{# A session_table of Iceberg: a run is one MERGE a month, which writes what differs and nothing else. #}


{# The table without rows. Partitions are Hive's: whatever filters on year, month and day reads only files of those days,
   and the MERGE of a month stays below Athena's hundred partitions a statement. VACUUM forgets what is older than five
   days. That is Athena's default too, written down because docs/models.md promises it. #}
{% macro create_iceberg_table(relation, sql) %}
    {% call statement('create_empty') %}
        create table {{ relation }}
        with (
            table_type = 'iceberg',
            is_external = false,
            location = '{{ session_location(relation, 'table') }}',
            partitioning = array['year', 'month', 'day'],
            format = 'parquet',
            write_compression = 'zstd',
            vacuum_max_snapshot_age_seconds = 432000
        ) as
        select * from ({{ sql }}) as sessions where false
    {% endcall %}
{% endmacro %}


{# One month's sessions by one commit. #}
{% macro merge_month(relation, sql, month) %}
    {%- set columns = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {% call statement('merge_month') %}
        {{ merge_sql(relation, sql, month, columns, config.get('meta', {}).get('grain')) }}
    {% endcall %}
    {%- set rows = run_query('select count(*) from ' ~ relation ~ ' where ' ~ in_month(month)).rows[0][0] -%}
    {{ return({'rows': rows, 'bytes': load_result('merge_month').response.data_scanned_in_bytes or 0}) }}
{% endmacro %}


{# The MERGE of one month. Its source has only what differs: new, changed, and gone. So a run that changes nothing commits
   nothing. The condition on the month in ON keeps the MERGE from reading the other months of the table. #}
{% macro merge_sql(relation, sql, month, columns, grain) %}
{%- set others = columns | reject('in', grain) | list -%}
merge into {{ relation }} as held
using (
    select
        {%- for column in grain %}
        coalesce(made.{{ column }}, old.{{ column }}) as {{ column }},
        {%- endfor %}
        {%- for column in others %}
        made.{{ column }},
        {%- endfor %}
        made.{{ grain[0] }} is null as is_gone
    from (select * from ({{ sql }}) as sessions where {{ in_month(month) }}) as made
    full outer join (select * from {{ relation }} where {{ in_month(month) }}) as old
        on {% for column in grain %}made.{{ column }} = old.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
    where row(made.{{ others | join(', made.') }}) is distinct from row(old.{{ others | join(', old.') }})
) as found
on {% for column in grain %}held.{{ column }} = found.{{ column }} and {% endfor %}{{ in_month(month, 'held') }}
when matched and found.is_gone then delete
when matched then update set {% for column in others %}{{ column }} = found.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
when not matched then insert ({{ columns | join(', ') }})
values ({% for column in columns %}found.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}
