{{ config(materialized='table') }}

with recursive

changes as (

    select
        symbol as traded_as,
        coalesce(lag(ex_date) over (partition by symbol order by ex_date), date '1900-01-01') as valid_from,
        ex_date as valid_until,
        new_symbol
    from {{ ref('stg_corporate_actions') }}
    where kind = 'symbol_change'

),

-- A name's shares go on under the next name, as long as that one changes later. A reused name is another company's.
chains (traded_as, valid_from, valid_until, symbol, since, steps) as (

    select
        cast(traded_as as varchar),
        valid_from,
        valid_until,
        cast(new_symbol as varchar),
        valid_until,
        1
    from changes

    union all

    select
        chains.traded_as,
        chains.valid_from,
        chains.valid_until,
        cast(changes.new_symbol as varchar),
        changes.valid_until,
        chains.steps + 1
    from chains
    inner join changes
        on chains.symbol = changes.traded_as
        and chains.since >= changes.valid_from
        and chains.since < changes.valid_until

),

final as (

    select
        traded_as,
        valid_from,
        valid_until,
        max_by(symbol, steps) as symbol
    from chains
    group by traded_as, valid_from, valid_until

)

select * from final
