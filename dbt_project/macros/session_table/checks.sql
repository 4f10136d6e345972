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


{# A table keeps its type for life: rows of the one are files that the other does not know of. #}
{% macro check_table_type(relation, wanted) %}
    {%- set found = 'iceberg' if adapter.get_glue_table_type(relation).value == 'iceberg_table' else 'hive' -%}
    {%- if found != wanted -%}
        {% do exceptions.raise_compiler_error(
            relation ~ ' is of table_type ' ~ found ~ ', and this run wants ' ~ wanted ~ ': set table_type back to '
            ~ found ~ ', or build all its sessions anew with --full-refresh and without --event-time-start and'
            ~ ' --event-time-end (docs/models.md, "From Hive to Iceberg and back")'
        ) %}
    {%- endif -%}
{% endmacro %}
