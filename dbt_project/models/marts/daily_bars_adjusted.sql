{{ config(materialized='view') }}

with

bars as (

    select * from {{ ref('int_bars_by_company') }}

),

adjustments as (

    select * from {{ ref('int_price_adjustments') }}

),

kinds (adjustment) as (

    values ('splits'), ('splits_and_dividends')

),

factors as (

    select
        bars.*,
        kinds.adjustment,
        coalesce(adjustments.share_factor, 1) as share_factor,
        case
            when kinds.adjustment = 'splits' then 1
            else coalesce(adjustments.dividend_factor, 1)
        end as dividend_factor
    from bars
    cross join kinds
    left join adjustments
        on bars.symbol = adjustments.symbol
        and bars.feed = adjustments.feed
        and bars.session_date >= adjustments.valid_from
        and bars.session_date < adjustments.valid_until

),

whole as (

    select
        *,
        cast(dividend_factor * 1000000000000 as bigint) as price_multiplier,
        cast(share_factor * 1000000000000 as bigint) as price_divisor
    from factors

),

final as (

    select
        symbol,
        feed,
        session_date,
        cast(adjustment as varchar) as adjustment,
        {{ adjusted_price('open') }} as open,
        {{ adjusted_price('high') }} as high,
        {{ adjusted_price('low') }} as low,
        {{ adjusted_price('close') }} as close,
        cast(volume * cast(share_factor as decimal(25, 12)) as decimal(38, 6)) as volume,
        {{ adjusted_price('vwap') }} as vwap,
        trade_count,
        traded_as,
        cast(share_factor as decimal(25, 12)) as share_factor,
        cast(dividend_factor as decimal(13, 12)) as dividend_factor,
        year,
        month,
        day
    from whole

)

select * from final
