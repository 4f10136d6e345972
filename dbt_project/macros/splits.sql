{# Product of a column of whole numbers over a symbol's splits from the row's ex-date on. No engine has it as an aggregate. #}
{% macro product_from_here(column) -%}
    cast(
            round(
                exp(
                    sum(ln(cast({{ column }} as double))) over (
                        partition by symbol order by ex_date desc rows unbounded preceding
                    )
                )
            ) as bigint
        )
{%- endmacro %}
