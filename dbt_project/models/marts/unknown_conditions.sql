{{ config(materialized='view') }}

with

trades as (

    select * from {{ ref('int_marked_trades') }}

),

final as (

    select
        feed,
        tape,
        exchange,
        unknown_codes,
        session_date,
        count(*) as trade_count,
        cast(sum(volume) as decimal(38, 6)) as volume,
        min(event_id) as example_event_id,
        year,
        month,
        day
    from trades
    where unknown_codes <> ''
    group by feed, tape, exchange, unknown_codes, session_date, year, month, day

)

select * from final
