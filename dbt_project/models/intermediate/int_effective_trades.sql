with

trades as (

    select * from {{ ref('int_marked_trades') }}

),

-- Corrected trades have their corrected values; cancelled ones, notices and quotes are gone.
effective as (

    select * from trades
    where is_effective
        and capture_mode = 'trade'

),

-- The partition columns are part of the window's key, so that a filter on them reaches the files.
ranked as (

    select
        effective.*,
        row_number() over (
            partition by
                symbol,
                feed,
                session_date,
                year,
                month,
                day,
                case when is_closing_auction or is_corrected_close then 1 else 0 end
            order by
                case when is_corrected_close then 1 else 0 end desc,
                volume desc,
                event_time_ns desc,
                sequence desc,
                event_id desc
        ) as place_among_closing
    from effective

),

closed as (

    select
        ranked.*,
        (is_closing_auction or is_corrected_close) and place_among_closing = 1 as is_closing_print
    from ranked

),

final as (

    select
        {{ trade_columns() }},
        minute_start,
        counts_in_volume,
        counts_in_high_low or is_closing_print as counts_in_high_low,
        counts_in_open_close or is_closing_print as counts_in_open_close,
        session_part,
        counts_in_part_high_low or is_closing_print as counts_in_part_high_low,
        counts_in_part_open_close or is_closing_print as counts_in_part_open_close,
        is_closing_print,
        year,
        month,
        day
    from closed
    where not is_official_print
        or is_closing_print

)

select * from final
