{{ config(materialized='table') }}

with

trading_sessions as (

    select * from {{ ref('trading_sessions') }}

),

unplanned_days as (

    {{ unplanned_days() }}

),

final as (

    select
        trading_sessions.session_date,
        trading_sessions.night_end_utc,
        coalesce(unplanned_days.open_utc, trading_sessions.open_utc) as open_utc,
        coalesce(unplanned_days.close_utc, trading_sessions.close_utc) as close_utc,
        coalesce(unplanned_days.is_half_day, trading_sessions.is_half_day) as is_half_day
    from trading_sessions
    left join unplanned_days
        on trading_sessions.session_date = unplanned_days.session_date
    where unplanned_days.session_date is null or unplanned_days.open_utc is not null

)

select * from final
