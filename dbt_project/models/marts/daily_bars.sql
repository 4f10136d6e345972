with

trades as (

    select * from {{ ref('stg_trades') }}

),

counted as (

    select * from trades where counts_in_volume

),

totals as (

    select
        symbol,
        feed,
        session_date,
        min_by(price, {{ trade_order() }}) filter (where counts_in_open_close) as first_price,
        max(price) filter (where counts_in_high_low) as highest_price,
        min(price) filter (where counts_in_high_low) as lowest_price,
        max_by(price, {{ trade_order() }}) filter (where counts_in_open_close) as last_price,
        max_by(price, {{ trade_order() }}) filter (where is_closing_print) as closing_price,
        cast(sum(volume) as bigint) as shares,
        sum(price * volume) as turnover,
        count(*) as trades,
        year,
        month,
        day
    from counted
    group by symbol, feed, session_date, year, month, day

),

final as (

    select
        symbol,
        feed,
        session_date,
        first_price as open,
        highest_price as high,
        lowest_price as low,
        coalesce(closing_price, last_price) as close,
        shares as volume,
        {{ price_per_share('turnover', 'shares') }} as vwap,
        trades as trade_count,
        year,
        month,
        day
    from totals

)

select * from final
