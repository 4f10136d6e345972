{{ config(materialized='view') }}

with

trades as (

    select * from {{ ref('int_marked_trades') }}

),

final as (

    select
        symbol,
        price,
        volume,
        event_time,
        event_time_ns,
        sequence,
        event_id,
        feed,
        capture_mode,
        exchange,
        conditions,
        tape,
        status,
        version,
        ingest_time,
        session_date,
        year,
        month,
        day
    from trades
    where is_effective
        and not is_official_print

)

select * from final
