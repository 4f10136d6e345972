-- Sessions whose minute bars, merged, are not their daily bar.
with

merged as (

    select
        symbol,
        feed,
        session_date,
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
        sum(volume) as volume,
        {{ price_per_share('sum(turnover) * 1000000', 'cast(sum(vwap_volume) * 1000000 as decimal(38, 0))') }} as vwap,
        sum(trade_count) as trade_count
    from {{ ref('minute_bars') }}
    where {{ in_window() }}
    group by symbol, feed, session_date
    having sum(trade_count) > 0

),

daily as (

    select * from {{ ref('daily_bars') }}
    where {{ in_window() }}

)

select
    coalesce(merged.symbol, daily.symbol) as symbol,
    coalesce(merged.feed, daily.feed) as feed,
    coalesce(merged.session_date, daily.session_date) as session_date
from merged
full outer join daily
    on merged.symbol = daily.symbol
    and merged.feed = daily.feed
    and merged.session_date = daily.session_date
where merged.open is distinct from daily.open
    or merged.high is distinct from daily.high
    or merged.low is distinct from daily.low
    or merged.close is distinct from daily.close
    or merged.volume is distinct from daily.volume
    or merged.vwap is distinct from daily.vwap
    or merged.trade_count is distinct from daily.trade_count
