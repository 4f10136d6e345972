{{ config(materialized='view') }}

with

daily_bars as (

    select * from {{ ref('daily_bars') }}

),

splits as (

    select * from {{ ref('stg_splits') }}

),

factors as (

    select
        daily_bars.*,
        coalesce(splits.shares_after, 1) as shares_after,
        coalesce(splits.shares_before, 1) as shares_before
    from daily_bars
    left join splits
        on daily_bars.symbol = splits.symbol
        and daily_bars.session_date >= splits.valid_from
        and daily_bars.session_date < splits.valid_until

),

final as (

    select
        symbol,
        feed,
        session_date,
        {{ price_per_share('open * shares_before', 'shares_after') }} as open,
        {{ price_per_share('high * shares_before', 'shares_after') }} as high,
        {{ price_per_share('low * shares_before', 'shares_after') }} as low,
        {{ price_per_share('close * shares_before', 'shares_after') }} as close,
        cast({{ price_per_share('volume * shares_after', 'shares_before') }} as bigint) as volume,
        {{ price_per_share('vwap * shares_before', 'shares_after') }} as vwap,
        trade_count,
        shares_after,
        shares_before,
        year,
        month,
        day
    from factors

)

select * from final
