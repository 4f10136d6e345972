{# What bars of every length have in common. #}


{# The prices and sums of a group of rows of int_effective_trades; `bar_columns` makes the bar of them. #}
{% macro bar_totals() -%}
    min_by(price, {{ trade_order() }}) filter (where counts_in_open_close) as first_price,
        max(price) filter (where counts_in_high_low) as highest_price,
        min(price) filter (where counts_in_high_low) as lowest_price,
        max_by(price, {{ trade_order() }}) filter (where counts_in_open_close) as last_price,
        max(price) filter (where is_closing_print) as closing_price,
        cast(coalesce(sum(volume) filter (where counts_in_volume), 0) as bigint) as shares,
        cast(
            coalesce(sum(volume) filter (where counts_in_volume and counts_in_high_low), 0) as bigint
        ) as priced_shares,
        coalesce(sum(price * volume) filter (where counts_in_volume and counts_in_high_low), 0) as priced_turnover,
        count(*) filter (where counts_in_volume) as trades
{%- endmacro %}


{# The bar itself. vwap is of the prints that may be high or low, and so lies between the two. #}
{% macro bar_columns() -%}
    first_price as open,
        highest_price as high,
        lowest_price as low,
        coalesce(closing_price, last_price) as close,
        shares as volume,
        {{ price_per_share('priced_turnover', 'priced_shares') }} as vwap,
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
