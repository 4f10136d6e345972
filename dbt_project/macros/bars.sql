{# What bars of every length have in common. #}


{# The prices and sums of a group of rows of int_effective_trades; `bar_columns` makes the bar of them. high_low, open_close:
   what a print must count in. #}
{% macro bar_totals(high_low='counts_in_high_low', open_close='counts_in_open_close') -%}
    min_by(price, {{ trade_order() }}) filter (where {{ open_close }}) as first_price,
        max(price) filter (where {{ high_low }}) as highest_price,
        min(price) filter (where {{ high_low }}) as lowest_price,
        max_by(price, {{ trade_order() }}) filter (where {{ open_close }}) as last_price,
        min_by(price, {{ trade_order() }}) filter (where {{ high_low }}) as price_if_alone,
        max(price) filter (where is_closing_print) as closing_price,
        cast(coalesce(sum(volume) filter (where counts_in_volume), 0) as decimal(38, 6)) as shares,
        cast(
            coalesce(sum({{ share_parts() }}) filter (where counts_in_volume and {{ high_low }}), 0) as decimal(38, 0)
        ) as priced_parts,
        cast(
            coalesce(sum(price * {{ share_parts() }}) filter (where counts_in_volume and {{ high_low }}), 0)
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


{# A bar of minute bars: of all of a group. #}
{% macro merged_minutes() -%}
    coalesce(
            min_by(open, minute_start) filter (where open is not null and not is_sold_late),
            min_by(open, minute_start) filter (where open is not null)
        ) as open,
        max(high) as high,
        min(low) as low,
        coalesce(
            max(closing_price),
            max_by(close, minute_start) filter (where close is not null and not is_sold_late),
            min_by(close, minute_start) filter (where close is not null)
        ) as close,
        cast(sum(volume) as decimal(38, 6)) as volume,
        {#- Six places, as a bar's own sums have: with turnover's twelve, millionths of 10^14 dollars overflow. #}
        {{ price_per_share(
            'cast(sum(turnover) * 1000000 as decimal(38, 6))', 'cast(sum(vwap_volume) * 1000000 as decimal(38, 0))'
        ) }} as vwap,
        cast(sum(trade_count) as bigint) as trade_count
{%- endmacro %}


{# Bars of so many minutes, the first from the opening of its part of the session on. A last one may be shorter. #}
{% macro bars_of_minutes(minutes) -%}
with

minute_bars as (

    select * from {{ ref('minute_bars') }}

),

sessions as (

    select * from {{ ref('stg_trading_sessions') }}

),

opened as (

    select
        minute_bars.*,
        case
            when {{ is_continuous_feed('minute_bars.feed') }} or sessions.session_date is null
                then cast(minute_bars.session_date as timestamp)
            when session_part = 'overnight' then {{ dbt.dateadd('hour', -8, 'sessions.night_end_utc') }}
            when session_part = 'pre' then sessions.night_end_utc
            when session_part = 'regular' then sessions.open_utc
            else sessions.close_utc
        end as opens_at
    from minute_bars
    left join sessions
        on minute_bars.session_date = sessions.session_date

),

placed as (

    select
        opened.*,
        {{ dbt.datediff('opens_at', 'minute_start', 'minute') }} as minutes_open
    from opened

),

-- Prints may come before the opening of their part, such as those of a weekend.
bucketed as (

    select
        placed.*,
        cast(
            {{ dbt.dateadd(
                'minute',
                'cast(minutes_open - mod(mod(minutes_open, ' ~ minutes ~ ') + ' ~ minutes ~ ', ' ~ minutes ~ ') as bigint)',
                'opens_at'
            ) }} as timestamp
        ) as bar_start
    from placed

),

final as (

    select
        symbol,
        feed,
        session_date,
        session_part,
        bar_start,
        {{ merged_minutes() }},
        year,
        month,
        day
    from bucketed
    group by symbol, feed, session_date, session_part, bar_start, year, month, day

)

select * from final
{%- endmacro %}
