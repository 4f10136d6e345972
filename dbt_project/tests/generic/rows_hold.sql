{# Rules that every row keeps, all in one scan: on Athena each test is a statement that is paid for, and in each run a node. A
   rule that is null for a row holds; say `is not null` where it must not be. Of a row that breaks several the first is told. #}
{% test rows_hold(model, rules) %}

with judged as (

    select
        *,
        case
            {%- for rule in rules %}
            when not ({{ rule }}) then '{{ rule | replace("'", "''") }}'
            {%- endfor %}
        end as broken_rule
    from {{ model }}

)

select *
from judged
where broken_rule is not null

{% endtest %}
