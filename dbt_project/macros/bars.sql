{# What bars of every length have in common. #}


{# The prices and sums of a group of rows of int_effective_trades; `bar_columns` makes the bar of them. #}
{% macro bar_totals() -%}
    min_by(price, {{ trade_order() }}) filter (where counts_in_open_close) as first_price,
        max(price) filter (where counts_in_high_low) as highest_price,
        min(price) filter (where counts_in_high_low) as lowest_price,
        max_by(price, {{ trade_order() }}) filter (where counts_in_open_close) as last_price,
        min_by(price, {{ trade_order() }}) filter (where counts_in_high_low) as price_if_alone,
        max(price) filter (where is_closing_print) as closing_price,
        cast(coalesce(sum(volume) filter (where counts_in_volume), 0) as decimal(38, 6)) as shares,
        cast(
            coalesce(sum({{ share_parts() }}) filter (where counts_in_volume and counts_in_high_low), 0) as decimal(38, 0)
        ) as priced_parts,
        cast(
            coalesce(sum(price * {{ share_parts() }}) filter (where counts_in_volume and counts_in_high_low), 0)
            as decimal(38, 6)
        ) as turnover_of_parts,
        count(*) filter (where counts_in_volume) as trades
{%- endmacro %}


{# Millionths of a share, a whole number: with it the average price is divided exactly. #}
{% macro share_parts() -%}
    cast(volume * 1000000 as decimal(32, 0))
{%- endmacro %}


{# The bar itself. vwap is of the prints that may be high or low, and so lies between the two. Where only such prints are,
   and none that may be first or last, the first of them opens and closes. #}
{% macro bar_columns() -%}
    coalesce(first_price, price_if_alone) as open,
        highest_price as high,
        lowest_price as low,
        coalesce(closing_price, last_price, price_if_alone) as close,
        shares as volume,
        {{ price_per_share('turnover_of_parts', 'priced_parts') }} as vwap,
        trades as trade_count
{%- endmacro %}


{# The minute in which a trade lies, from its nanoseconds. Athena rounds timestamps to milliseconds: the last half
   millisecond of a minute would belong to the next. Dividing a multiple is exact on every engine. #}
{% macro minute_of(time_ns) -%}
    {%- set minutes = '(' ~ time_ns ~ ' - mod(' ~ time_ns ~ ', 60000000000)) / 60000000000' -%}
    cast(
            {{ dbt.dateadd('minute', 'cast(' ~ minutes ~ ' as bigint)', "timestamp '1970-01-01 00:00:00'") }}
            as timestamp
        )
{%- endmacro %}
