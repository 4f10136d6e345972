{{ config(materialized='table') }}

with

splits as (

    select * from {{ ref('splits') }}

),

-- Before its ex-date a price is divided by this split and by all later ones. Whole numbers: ln and exp of them round back.
final as (

    select
        symbol,
        coalesce(
            lag(ex_date) over (partition by symbol order by ex_date), date '1900-01-01'
        ) as valid_from,
        ex_date as valid_until,
        {{ product_from_here('shares_after') }} as shares_after,
        {{ product_from_here('shares_before') }} as shares_before
    from splits

)

select * from final
