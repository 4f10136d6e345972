{{ config(materialized='table') }}

with

sale_conditions as (

    select * from {{ ref('sale_conditions') }}

),

final as (

    select
        {{ codes_where('not updates_volume') }} as no_volume_codes,
        {{ codes_where('not updates_high_low') }} as no_high_low_codes,
        {{ codes_where('not updates_open_close') }} as no_open_close_codes,
        {{ codes_where('is_auction') }} as auction_codes,
        {{ codes_where('is_official_print') }} as official_codes,
        {{ codes_where('is_closing') }} as closing_codes
    from sale_conditions

)

select * from final
