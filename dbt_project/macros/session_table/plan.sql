{# What a session_table is going to do on Athena, as SQL: nothing here runs. #}


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


{# One month as one MERGE into an Iceberg table. Rows that the query has no more come as rows to delete. #}
{% macro merge_sql(relation, sql, month, columns, grain) %}
merge into {{ relation }} as held
using (
    select {{ columns | join(', ') }}, false as is_gone
    from ({{ sql }}) as sessions
    where {{ in_month(month) }}
    union all
    select {{ columns | join(', ') }}, true as is_gone
    from {{ relation }} as old
    where {{ in_month(month) }}
        and not exists (
            select 1 from ({{ sql }}) as sessions
            where {{ in_month(month, 'sessions') }}
            {%- for column in grain %}
                and sessions.{{ column }} = old.{{ column }}
            {%- endfor %}
        )
) as found
on {% for column in grain %}held.{{ column }} = found.{{ column }}{{ ' and ' if not loop.last }}{% endfor %}
when matched and found.is_gone then delete
when matched then update set {% for column in columns %}{{ column }} = found.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
when not matched and not found.is_gone then insert ({{ columns | join(', ') }})
values ({% for column in columns %}found.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
{% endmacro %}
