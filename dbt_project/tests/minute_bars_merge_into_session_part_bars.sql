-- Parts of sessions whose minute bars, merged, are not their bar.
with

merged as (

    select
        symbol,
        feed,
        session_date,
        session_part,
        {{ merged_minutes() }}
    from {{ ref('minute_bars') }}
    where {{ in_window() }}
    group by symbol, feed, session_date, session_part
    having sum(trade_count) > 0 or max(closing_price) is not null

),

parts as (

    select * from {{ ref('session_part_bars') }}
    where {{ in_window() }}

)

select
    coalesce(merged.symbol, parts.symbol) as symbol,
    coalesce(merged.feed, parts.feed) as feed,
    coalesce(merged.session_date, parts.session_date) as session_date,
    coalesce(merged.session_part, parts.session_part) as session_part
from merged
full outer join parts
    on merged.symbol = parts.symbol
    and merged.feed = parts.feed
    and merged.session_date = parts.session_date
    and merged.session_part = parts.session_part
where merged.open is distinct from parts.open
    or merged.high is distinct from parts.high
    or merged.low is distinct from parts.low
    or merged.close is distinct from parts.close
    or merged.volume is distinct from parts.volume
    or merged.vwap is distinct from parts.vwap
    or merged.trade_count is distinct from parts.trade_count
