{{ config(materialized='table') }}

with

sale_conditions as (

    select * from {{ ref('sale_conditions') }}

),

-- Where a source does not say the tape it is ''.
tapes as (

    select '' as tape
    union all
    select 'A'
    union all
    select 'B'
    union all
    select 'C'

),

-- What each code means on each tape: the tape's own row if there is one, or else the general one.
meanings as (

    select
        tapes.tape,
        sale_conditions.code,
        sale_conditions.updates_volume,
        sale_conditions.updates_high_low,
        sale_conditions.updates_open_close,
        sale_conditions.is_auction,
        sale_conditions.is_official_print,
        sale_conditions.is_closing,
        sale_conditions.is_corrected_close,
        row_number() over (
            partition by tapes.tape, sale_conditions.code
            order by case when sale_conditions.tape = tapes.tape then 0 else 1 end
        ) as place
    from tapes
    inner join sale_conditions
        on coalesce(sale_conditions.tape, '') in ('', tapes.tape)

),

final as (

    select
        tape,
        {{ codes_where('true') }} as known_codes,
        {{ codes_where('not updates_volume') }} as no_volume_codes,
        {{ codes_where('not updates_high_low') }} as no_high_low_codes,
        {{ codes_where('not updates_open_close') }} as no_open_close_codes,
        {{ codes_where('is_auction') }} as auction_codes,
        {{ codes_where('is_official_print') }} as official_codes,
        {{ codes_where('is_closing') }} as closing_codes,
        {{ codes_where('is_corrected_close') }} as corrected_close_codes
    from meanings
    where place = 1
    group by tape

)

select * from final
