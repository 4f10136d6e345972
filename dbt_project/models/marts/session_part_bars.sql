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
        session_part,
        {{ bar_totals('counts_in_part_high_low', 'counts_in_part_open_close') }},
        year,
        month,
        day
    from trades
    group by symbol, feed, session_date, session_part, year, month, day

),

final as (

    select
        symbol,
        feed,
        session_date,
        session_part,
        {{ bar_columns() }},
        year,
        month,
        day
    from totals
    where trades > 0 or closing_price is not null

)

select * from final
