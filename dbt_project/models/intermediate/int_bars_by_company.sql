with

daily_bars as (

    select * from {{ ref('daily_bars') }}

),

final as (

    select
        coalesce(spans.symbol, daily_bars.symbol) as symbol,
        daily_bars.symbol as traded_as,
        daily_bars.feed,
        daily_bars.session_date,
        daily_bars.open,
        daily_bars.high,
        daily_bars.low,
        daily_bars.close,
        daily_bars.volume,
        daily_bars.vwap,
        daily_bars.trade_count,
        daily_bars.year,
        daily_bars.month,
        daily_bars.day
    from daily_bars
    left join {{ ref('stg_symbol_spans') }} as spans
        on daily_bars.symbol = spans.traded_as
        and daily_bars.session_date >= spans.valid_from
        and daily_bars.session_date < spans.valid_until

)

select * from final
