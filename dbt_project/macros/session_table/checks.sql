{# What a session_table refuses, on every engine. #}


{# A window cannot bring new columns to the sessions outside it. #}
{% macro check_same_columns(relation, sql) %}
    {%- set old = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | sort -%}
    {%- set new = get_column_schema_from_query(sql) | map(attribute='name') | map('lower') | sort -%}
    {%- if old | list != new | list -%}
        {% do exceptions.raise_compiler_error(
            'the columns of ' ~ relation ~ ' changed: build all its sessions once, with --full-refresh and without'
            ~ ' --event-time-start and --event-time-end'
        ) %}
    {%- endif -%}
{% endmacro %}


{% macro refuse_full_refresh_of_a_window() %}
    {%- if should_full_refresh() and has_window() -%}
        {% do exceptions.raise_compiler_error(
            'a full refresh of ' ~ this ~ ' would keep the sessions of the window only: leave out --event-time-start and'
            ~ ' --event-time-end'
        ) %}
    {%- endif -%}
{% endmacro %}
