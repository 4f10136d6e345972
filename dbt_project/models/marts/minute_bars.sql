{{ config(materialized='session_table', table_type=var('table_type')) }}

with

trades as (

    select * from {{ ref('int_effective_trades') }}

),

totals as (

    select
        symbol,
        feed,
        session_date,
        minute_start,
        {{ bar_totals() }},
        year,
        month,
        day
    from trades
    group by symbol, feed, session_date, minute_start, year, month, day

),

final as (

    select
        symbol,
        feed,
        session_date,
        minute_start,
        {{ bar_columns() }},
        closing_price,
        priced_shares as vwap_volume,
        cast(priced_turnover as decimal(38, 6)) as turnover,
        year,
        month,
        day
    from totals

)

select * from final
