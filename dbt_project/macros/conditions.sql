{# All codes of the seed for which `flag` holds, as one text in the order of the codes. #}
{% macro codes_where(flag) -%}
    coalesce({{ dbt.listagg('case when ' ~ flag ~ ' then code end', "''", 'order by code') }}, '')
{%- endmacro %}


{# Whether `conditions` holds at least one of `codes`. #}
{% macro has_code(codes) -%}
    (translate(conditions, {{ codes }}, '') <> conditions)
{%- endmacro %}
