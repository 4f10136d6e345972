{# Rules that every row keeps, all in one scan: on Athena each test is a statement that is paid for. A rule that is null for a
   row holds; say `is not null` where it must not be. #}
{% test rows_hold(model, rules) %}

select *
from {{ model }}
where false
    {%- for rule in rules %}
    or not ({{ rule }})
    {%- endfor %}

{% endtest %}
