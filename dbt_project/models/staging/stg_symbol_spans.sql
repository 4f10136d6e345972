{{ config(materialized='table') }}

{# A company has changed its symbol more often than that in no record that we saw. Recursion is no way: Athena asks for column names that unit tests lack. #}
{%- set further_changes = 5 %}

with

changes as (

    select
        symbol as traded_as,
        coalesce(lag(ex_date) over (partition by symbol order by ex_date), date '1900-01-01') as valid_from,
        ex_date as valid_until,
        new_symbol
    from {{ ref('stg_corporate_actions') }}
    where kind = 'symbol_change'

),

after_0 as (

    select
        traded_as,
        valid_from,
        valid_until,
        new_symbol as symbol,
        valid_until as since
    from changes

),

-- A symbol's shares go on under the next symbol, if that one changes later. A reused symbol is another company's.
{%- for step in range(1, further_changes + 1) %}

after_{{ step }} as (

    select
        earlier.traded_as,
        earlier.valid_from,
        earlier.valid_until,
        coalesce(changes.new_symbol, earlier.symbol) as symbol,
        coalesce(changes.valid_until, earlier.since) as since
    from after_{{ step - 1 }} as earlier
    left join changes
        on earlier.symbol = changes.traded_as
        and earlier.since >= changes.valid_from
        and earlier.since < changes.valid_until

),
{%- endfor %}

final as (

    select
        traded_as,
        valid_from,
        valid_until,
        symbol
    from after_{{ further_changes }}

)

select * from final
