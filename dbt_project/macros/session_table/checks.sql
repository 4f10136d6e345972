{# What a session_table refuses, on every engine. #}


{# A window cannot bring new columns to the sessions outside it, nor decimals in the place of integers: files of the one
   type can't be read as the other. #}
{% macro check_same_columns(relation, sql) %}
    {%- set old = named_kinds(adapter.get_columns_in_relation(relation)) -%}
    {%- set new = named_kinds(get_column_schema_from_query(sql)) -%}
    {%- if old != new -%}
        {% do exceptions.raise_compiler_error(
            'the columns of ' ~ relation ~ ' changed: build all its sessions once, with --full-refresh and without'
            ~ ' --event-time-start and --event-time-end'
        ) %}
    {%- endif -%}
{% endmacro %}


{# Names of columns, and which of them are decimals; other types have several names on an engine. #}
{% macro named_kinds(columns) %}
    {%- set kinds = [] -%}
    {%- for column in columns -%}
        {% do kinds.append(column.name | lower ~ (' decimal' if (column.dtype | lower).startswith('decimal') else '')) %}
    {%- endfor -%}
    {{ return(kinds | sort) }}
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
