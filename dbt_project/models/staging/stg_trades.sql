with

curated as (

    select * from {{ source('lake', 'trades') }}

),

published as (

    select year, month, day from {{ published_partitions() }}

),

raw as (

    select * from {{ source('lake', 'unpublished_trades') }}

),

-- A partition is read from one side only: a published one from `curated`, until then from `raw`, where it stays for a
-- while, because a query may have seen `curated` before the publication.
unpublished as (

    select raw.*
    from raw
    left join published
        on raw.year = published.year
        and raw.month = published.month
        and raw.day = published.day
    where published.year is null

),

-- The partition columns are part of the window's key, so that a filter on them reaches the files.
ranked as (

    select
        unpublished.*,
        row_number() over (
            partition by year, month, day, event_id
            order by
                {{ by_precedence() }}
        ) as place
    from unpublished

),

every_trade as (

    select
        {{ trade_columns(volume=volume_of_lake()) }},
        year,
        month,
        day
    from curated

    union all

    select
        {{ trade_columns(volume=volume_of_lake()) }},
        year,
        month,
        day
    from ranked
    where place = 1

),

-- Some sources have no codes.
final as (

    select
        {{ trade_columns(conditions="coalesce(conditions, '') as conditions") }},
        year,
        month,
        day
    from every_trade

)

select * from final
