{# Days of the setting UNPLANNED_DAYS, as `stock_pipeline.domain.session.UnplannedDay` reads it: a row each, hours null
where the exchange was closed. #}
{% macro unplanned_days() %}
    {%- set new_york = modules.pytz.timezone('America/New_York') -%}
    {%- set known = [] -%}
    {%- for written in env_var('UNPLANNED_DAYS', '').split(',') if written.strip() -%}
        {%- set day = written.strip().split('=')[0] -%}
        {%- set said = written.strip().split('=')[1] -%}
        {%- set instants = [] -%}
        {%- for at in said.split('-') if said != 'closed' -%}
            {%- set local = modules.datetime.datetime.strptime(day ~ ' ' ~ at, '%Y-%m-%d %H:%M') -%}
            {%- set utc = new_york.localize(local).astimezone(modules.pytz.utc) -%}
            {%- do instants.append("timestamp '" ~ utc.strftime('%Y-%m-%d %H:%M:%S') ~ "'") -%}
        {%- endfor -%}
        {%- set half = 'true' if said.endswith('-13:00') else 'false' -%}
        {%- do known.append([day, instants[0] if instants else none, instants[1] if instants else none, half]) -%}
    {%- endfor -%}
    {%- if known -%}
        {%- for day, opens, closes, half in known -%}
            {{ 'union all' if not loop.first }}
            select
                date '{{ day }}' as session_date,
                cast({{ opens or 'null' }} as {{ dbt.type_timestamp() }}) as open_utc,
                cast({{ closes or 'null' }} as {{ dbt.type_timestamp() }}) as close_utc,
                {{ half }} as is_half_day
        {% endfor -%}
    {%- else -%}
        select
            cast(null as date) as session_date,
            cast(null as {{ dbt.type_timestamp() }}) as open_utc,
            cast(null as {{ dbt.type_timestamp() }}) as close_utc,
            cast(null as boolean) as is_half_day
        where 1 = 0
    {%- endif -%}
{% endmacro %}
