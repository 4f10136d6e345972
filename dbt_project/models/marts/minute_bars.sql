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
        session_part,
        {{ bar_totals('counts_in_part_high_low', 'counts_in_part_open_close') }},
        year,
        month,
        day
    from trades
    group by symbol, feed, session_date, minute_start, session_part, year, month, day

),

final as (

    select
        symbol,
        feed,
        session_date,
        minute_start,
        {{ bar_columns() }},
        closing_price,
        first_price is null and price_if_alone is not null as is_sold_late,
        cast(priced_parts * 0.000001 as decimal(38, 6)) as vwap_volume,
        cast(turnover_of_parts * 0.000001 as decimal(38, 12)) as turnover,
        session_part,
        year,
        month,
        day
    from totals

)

select * from final
