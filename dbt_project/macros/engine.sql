{# What the engines do differently. Everything else is the same SQL on both. #}


{# Money by shares: decimal(18,6), rounded half up, null for no shares. #}
{% macro price_per_share(money, shares) -%}
    {{ adapter.dispatch('price_per_share')(money, shares) }}
{%- endmacro %}

{# Athena divides decimals exactly, and rounds half up at the larger scale of the two. #}
{% macro default__price_per_share(money, shares) -%}
    cast(cast({{ money }} as decimal(38, 6)) / cast(nullif({{ shares }}, 0) as decimal(38, 0)) as decimal(18, 6))
{%- endmacro %}

{# DuckDB makes a double of a quotient of decimals: whole millionths and integer division stay exact. #}
{% macro duckdb__price_per_share(money, shares) -%}
    cast(
        cast(
            (2 * cast({{ money }} * 1000000 as hugeint) + cast({{ shares }} as hugeint))
            // (2 * nullif(cast({{ shares }} as hugeint), 0))
            as decimal(38, 0)
        ) * 0.000001 as decimal(18, 6)
    )
{%- endmacro %}
