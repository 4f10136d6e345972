-- Sessions whose parts do not add up to their daily bar, or whose regular part has other prices than it.
with

parts as (

    select
        symbol,
        feed,
        session_date,
        max(case when {{ makes_daily_prices() }} then high end) as high,
        min(case when {{ makes_daily_prices() }} then low end) as low,
        max(case when session_part = 'regular' then open end) as regular_open,
        max(case when session_part = 'regular' then close end) as regular_close,
        max(case when session_part = 'regular' then vwap end) as regular_vwap,
        sum(volume) as volume,
        sum(trade_count) as trade_count
    from {{ ref('session_part_bars') }}
    where {{ in_window() }}
    group by symbol, feed, session_date
    having sum(trade_count) > 0

),

daily as (

    select * from {{ ref('daily_bars') }}
    where {{ in_window() }}

)

select
    coalesce(parts.symbol, daily.symbol) as symbol,
    coalesce(parts.feed, daily.feed) as feed,
    coalesce(parts.session_date, daily.session_date) as session_date
from parts
full outer join daily
    on parts.symbol = daily.symbol
    and parts.feed = daily.feed
    and parts.session_date = daily.session_date
where parts.volume is distinct from daily.volume
    or parts.trade_count is distinct from daily.trade_count
    or parts.high is distinct from daily.high
    or parts.low is distinct from daily.low
    or (
        not {{ is_overnight_feed('coalesce(parts.feed, daily.feed)') }}
        and (
            parts.regular_open is distinct from daily.open
            or parts.regular_close is distinct from daily.close
            or parts.regular_vwap is distinct from daily.vwap
        )
    )
