{# The sessions that a run is about: dbt's own options --event-time-start and --event-time-end, the end not included.
   Without them a run is about every session of the lake. #}


{% macro has_window() %}
    {{ return(window_end('start') is not none and window_end('end') is not none) }}
{% endmacro %}


{# The date that the option `--event-time-<which>` names, or none. `flags` does not have these two. #}
{% macro window_end(which) %}
    {%- set name = 'event_time_' ~ which -%}
    {%- set instant = invocation_args_dict.get(name) or invocation_args_dict.get(name | upper) -%}
    {{ return(instant.date() if instant else none) }}
{% endmacro %}


{# Session dates of the window by month: [{year, month, first_day, last_day}]. One Athena statement
   may write a hundred partitions, so a month fits. Plain comparisons of year, month and day reach the files. #}
{% macro window_months() %}
    {% set months = [] %}
    {% set last = window_end('end') - modules.datetime.timedelta(days=1) %}
    {% set state = namespace(day=window_end('start')) %}
    {% for _ in range(0, (last - state.day).days + 1) %}
        {% if not months or months[-1].month != state.day.month %}
            {% do months.append(
                {'year': state.day.year, 'month': state.day.month, 'first_day': state.day.day, 'last_day': state.day.day}
            ) %}
        {% else %}
            {% do months[-1].update(last_day=state.day.day) %}
        {% endif %}
        {% set state.day = state.day + modules.datetime.timedelta(days=1) %}
    {% endfor %}
    {{ return(months) }}
{% endmacro %}


{# One month's share of the window, as a condition on the partition columns of `relation`, or of the only relation. #}
{% macro in_month(month, relation='') -%}
    {%- set of = relation ~ '.' if relation else '' -%}
    ({{ of }}year = {{ month.year }} and {{ of }}month = {{ month.month }} and {{ of }}day
    {%- if month.first_day == month.last_day %} = {{ month.first_day }}
    {%- else %} between {{ month.first_day }} and {{ month.last_day }}
    {%- endif %})
{%- endmacro %}


{% macro in_window() -%}
    {%- if not has_window() -%}
        true
    {%- else -%}
        {%- set conditions = [] -%}
        {%- for month in window_months() %}{% do conditions.append(in_month(month)) %}{% endfor -%}
        ({{ conditions | join(' or ') }})
    {%- endif -%}
{%- endmacro %}


{# Data tests with `where: in_window` look at the sessions of the run, and not at the whole lake. #}
{% macro get_where_subquery(relation) -%}
    {%- if config.get('where') == 'in_window' -%}
        {% do return('(select * from ' ~ relation ~ ' where ' ~ in_window() ~ ') dbt_subquery') %}
    {%- endif -%}
    {% do return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) %}
{%- endmacro %}
