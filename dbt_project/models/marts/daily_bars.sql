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
        {{ bar_totals() }},
        year,
        month,
        day
    from trades
    group by symbol, feed, session_date, year, month, day

),

final as (

    select
        symbol,
        feed,
        session_date,
        {{ bar_columns() }},
        year,
        month,
        day
    from totals
    where trades > 0

)

select * from final
