-- Days on which prices and corporate actions contradict each other: a symbol opens far from its last close, and no split says why
-- (`missing split`); or a split says so, and prices do not (`split without a jump`: often the day of payment taken for the ex-date).
-- A warning: companies do lose half of their worth in a night. The seed corporate_action_overrides corrects the vendor.
{{ config(severity='warn') }}

with

bars as (

    select
        symbol,
        feed,
        session_date,
        cast(open as double) / cast(lag(close) over (partition by symbol, feed order by session_date) as double) as jump,
        share_factor / lag(share_factor) over (partition by symbol, feed order by session_date) as remaining
    from {{ ref('daily_bars_adjusted') }}
    where adjustment = 'splits'
        and open is not null
        and close is not null

)

select
    symbol,
    feed,
    session_date,
    case when remaining = 1 then 'missing split' else 'split without a jump' end as contradiction,
    round(jump, 4) as open_to_last_close
from bars
where jump not between 0.6 and 1.67
