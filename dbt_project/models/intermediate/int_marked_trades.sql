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
        {{ has_code('rules.auction_codes') }}
        or not {{ has_code('rules.no_high_low_codes', codes_but_extended()) }} as allows_extended_high_low,
        {{ has_code('rules.auction_codes') }}
        or not {{ has_code('rules.no_open_close_codes', codes_but_extended()) }} as allows_extended_open_close,
        translate(conditions, rules.known_codes, '') as unknown_codes,
        sessions.night_end_utc,
        sessions.open_utc,
        sessions.close_utc,
        {{ is_overnight_feed('coded.feed') }} as is_overnight,
        {{ is_continuous_feed('coded.feed') }} as is_continuous
    from coded
    inner join rules
        on coded.rules_tape = rules.tape
    left join sessions
        on coded.session_date = sessions.session_date

),

-- A closing auction comes after regular hours, and is their last price. Parts begin and end on whole minutes.
parted as (

    select
        marked.*,
        case
            when is_continuous or is_closing or is_corrected_close then 'regular'
            when is_overnight and coalesce(minute_start < night_end_utc, true) then 'overnight'
            when open_utc is null then 'regular'
            when minute_start < open_utc then 'pre'
            when minute_start < close_utc then 'regular'
            else 'post'
        end as session_part,
        open_utc is not null or is_overnight or is_continuous as is_session
    from marked

),

counted as (

    select
        parted.*,
        -- A print of no shares is a message about a price, and counts for nothing.
        is_effective and capture_mode = 'trade' and allows_volume and volume > 0 as counts_in_volume,
        is_effective and capture_mode = 'trade' and allows_volume and volume > 0 and is_session and not is_official_print
        and case when session_part = 'regular' then allows_high_low else allows_extended_high_low end
            as counts_in_part_high_low,
        is_effective and capture_mode = 'trade' and allows_volume and volume > 0 and is_session and not is_official_print
        and case when session_part = 'regular' then allows_open_close else allows_extended_open_close end
            as counts_in_part_open_close
    from parted

),

final as (

    select
        {{ trade_columns() }},
        minute_start,
        unknown_codes,
        is_effective,
        is_official_print,
        counts_in_volume,
        counts_in_part_high_low and {{ makes_daily_prices() }} as counts_in_high_low,
        counts_in_part_open_close and {{ makes_daily_prices() }} as counts_in_open_close,
        session_part,
        counts_in_part_high_low,
        counts_in_part_open_close,
        is_effective and capture_mode = 'trade' and is_session and is_closing and volume > 0 as is_closing_auction,
        is_effective and capture_mode = 'trade' and is_session and is_corrected_close as is_corrected_close,
        year,
        month,
        day
    from counted

)

select * from final
