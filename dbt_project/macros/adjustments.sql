{# Product of factors, given as logarithms, of a symbol's actions from the row's ex-date on. No engine has it as an aggregate. #}
{% macro product_from_here(logarithm) -%}
    exp(sum({{ logarithm }}) over (partition by symbol, feed order by ex_date desc rows unbounded preceding))
{%- endmacro %}


{# A price of then as one of today. Factors have 12 places, so whole ratios are divided exactly and round half up. #}
{% macro adjusted_price(price) -%}
    {{ price_per_share(price ~ ' * price_multiplier', 'price_divisor') }}
{%- endmacro %}
