{# All codes of the seed for which `flag` holds, as one text in the order of the codes. #}
{% macro codes_where(flag) -%}
    coalesce({{ dbt.listagg('case when ' ~ flag ~ ' then code end', "''", 'order by code') }}, '')
{%- endmacro %}


{# Whether the print's codes hold at least one of `codes`. #}
{% macro has_code(codes, held='conditions') -%}
    (translate({{ held }}, {{ codes }}, '') <> {{ held }})
{%- endmacro %}


{# The print's codes without the mark of extended hours, which forbids no price of those hours. #}
{% macro codes_but_extended() -%}
    translate(conditions, 'T', '')
{%- endmacro %}
