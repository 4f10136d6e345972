{{ config(materialized='table') }}

with

trading_sessions as (

    select * from {{ ref('trading_sessions') }}

),

final as (

    select
        session_date,
        night_end_utc,
        open_utc,
        close_utc,
        is_half_day
    from trading_sessions

)

select * from final
