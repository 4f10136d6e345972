{# Values from `min_value` to `max_value`, both included unless `inclusive` is false. Null is for not_null to judge. #}
{% test accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}

{%- set equal = '=' if inclusive else '' %}

select {{ column_name }}
from {{ model }}
where false
    {%- if min_value is not none %}
    or not {{ column_name }} >{{ equal }} {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    or not {{ column_name }} <{{ equal }} {{ max_value }}
    {%- endif %}

{% endtest %}
