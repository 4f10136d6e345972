{{ config(materialized='table') }}

with

-- A new name begins on its ex-date. What happens to shares on that day is still told of the old one.
actions as (

    select
        coalesce(spans.symbol, actions.symbol) as symbol,
        actions.ex_date,
        actions.kind,
        actions.shares_after,
        actions.shares_before,
        actions.cash_amount
    from {{ ref('stg_corporate_actions') }} as actions
    left join {{ ref('stg_symbol_spans') }} as spans
        on actions.symbol = spans.traded_as
        and actions.ex_date > spans.valid_from
        and actions.ex_date <= spans.valid_until
    where actions.kind <> 'symbol_change'

),

days as (

    select
        symbol,
        ex_date,
        coalesce(
            sum(ln(cast(nullif(shares_after, 0) as double)) - ln(cast(nullif(shares_before, 0) as double))), 0
        ) as log_shares,
        sum(cash_amount) as cash
    from actions
    group by symbol, ex_date

),

bars as (

    select * from {{ ref('int_bars_by_company') }}

),

-- The close of the last session before an ex-date, in each feed. Without one, no earlier price is there to adjust.
last_bars as (

    select
        bars.symbol,
        bars.feed,
        days.ex_date,
        max(bars.session_date) as session_date,
        max_by(bars.close, bars.session_date) as close
    from days
    inner join bars
        on days.symbol = bars.symbol
        and bars.session_date < days.ex_date
    where bars.close is not null
        and days.cash > 0
    group by bars.symbol, bars.feed, days.ex_date

),

-- A dividend is paid on the shares of its day, and a feed may lack the sessions since an earlier split.
closes as (

    select
        last_bars.symbol,
        last_bars.feed,
        last_bars.ex_date,
        cast(last_bars.close as double) / exp(coalesce(sum(days.log_shares), 0)) as close
    from last_bars
    left join days
        on last_bars.symbol = days.symbol
        and last_bars.session_date < days.ex_date
        and last_bars.ex_date > days.ex_date
    group by last_bars.symbol, last_bars.feed, last_bars.ex_date, last_bars.close

),

feeds as (

    select distinct
        symbol,
        feed
    from bars

),

-- A dividend that is not below the close is no loss of price that a factor can undo.
factors as (

    select
        days.symbol,
        feeds.feed,
        days.ex_date,
        days.log_shares,
        case
            when closes.close > cast(days.cash as double)
            then ln(1 - cast(days.cash as double) / closes.close)
            else 0
        end as log_dividend
    from days
    inner join feeds on days.symbol = feeds.symbol
    left join closes
        on days.symbol = closes.symbol
        and days.ex_date = closes.ex_date
        and feeds.feed = closes.feed

),

-- Before its ex-date a price changes by this day's actions and by all later ones.
final as (

    select
        symbol,
        feed,
        coalesce(
            lag(ex_date) over (partition by symbol, feed order by ex_date), date '1900-01-01'
        ) as valid_from,
        ex_date as valid_until,
        cast({{ product_from_here('log_shares') }} as decimal(25, 12)) as share_factor,
        cast({{ product_from_here('log_dividend') }} as decimal(13, 12)) as dividend_factor
    from factors

)

select * from final
