{# A table of which a run replaces whole sessions: those of its window, and no others. Sessions of the window that have
   no rows any more have none afterwards. Readers see all of a change or nothing of it. #}


{# DuckDB: one transaction. #}
{% materialization session_table, adapter='duckdb' %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing is not none and existing.is_table and has_window() and not should_full_refresh() %}
        {%- if config.get('contract').enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
        {%- do check_same_columns(this, sql) %}
        {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='quoted') | join(', ') %}
        {% call statement('main') %}
            delete from {{ this }} where {{ in_window() }};
            insert into {{ this }} ({{ columns }})
            select {{ columns }} from ({{ sql }}) as sessions where {{ in_window() }}
        {% endcall %}
    {%- else %}
        {%- do refuse_full_refresh_of_a_window() %}
        {%- if existing is not none %}{% do adapter.drop_relation(existing) %}{% endif %}
        {% call statement('main') %}
            {{ create_table_as(False, target_relation, 'select * from (' ~ sql ~ ') as sessions where ' ~ in_window()) }}
        {% endcall %}
    {%- endif %}

    {# What the run report says: the rows of the window. #}
    {%- set rows = run_query('select count(*) from ' ~ this ~ ' where ' ~ in_window()).rows[0][0] %}
    {% do store_raw_result(name='main', message=rows ~ ' rows', code='OK', rows_affected=rows) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do persist_docs(target_relation, model) %}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
