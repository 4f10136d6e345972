with

trades as (

    select * from {{ ref('stg_trades') }}

),

rules as (

    select * from {{ ref('stg_print_rules') }}

),

sessions as (

    select * from {{ ref('stg_trading_sessions') }}

),

-- Some sources have no tape.
coded as (

    select
        trades.*,
        case when tape in ('A', 'B', 'C') then tape else '' end as rules_tape,
        {{ minute_of('event_time_ns') }} as minute_start
    from trades

),

marked as (

    select
        coded.*,
        coded.status in ('good', 'corrected') as is_effective,
        {{ has_code('rules.official_codes') }} as is_official_print,
        {{ has_code('rules.corrected_close_codes') }} as is_corrected_close,
        not {{ has_code('rules.official_codes') }} and {{ has_code('rules.closing_codes') }} as is_closing,
        not {{ has_code('rules.no_volume_codes') }} as allows_volume,
        {{ has_code('rules.auction_codes') }} or not {{ has_code('rules.no_high_low_codes') }} as allows_high_low,
        {{ has_code('rules.auction_codes') }} or not {{ has_code('rules.no_open_close_codes') }} as allows_open_close,
        translate(conditions, rules.known_codes, '') as unknown_codes,
        sessions.session_date is not null as is_session,
        -- Sessions open and close on whole minutes.
        coalesce(
            coded.minute_start >= sessions.open_utc
            and coded.minute_start < sessions.close_utc,
            false
        ) as in_regular_hours
    from coded
    inner join rules
        on coded.rules_tape = rules.tape
    left join sessions
        on coded.session_date = sessions.session_date

),

counted as (

    select
        marked.*,
        -- A print of no shares is a message about a price, and counts for nothing.
        is_effective and capture_mode = 'trade' and allows_volume and volume > 0 as counts_in_volume,
        -- A closing auction comes after regular hours, and is their last price.
        not is_official_print and is_session and (in_regular_hours or is_closing) as makes_price
    from marked

),

final as (

    select
        {{ trade_columns() }},
        minute_start,
        unknown_codes,
        is_effective,
        is_official_print,
        counts_in_volume,
        counts_in_volume and makes_price and allows_high_low as counts_in_high_low,
        counts_in_volume and makes_price and allows_open_close as counts_in_open_close,
        is_effective and capture_mode = 'trade' and is_session and is_closing and volume > 0 as is_closing_auction,
        is_effective and capture_mode = 'trade' and is_session and is_corrected_close as is_corrected_close,
        year,
        month,
        day
    from counted

)

select * from final
