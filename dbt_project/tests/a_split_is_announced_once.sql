-- Splits of a symbol with one ratio and ex-dates within ten days: often one split under two dates, which would count twice.
{{ config(severity='warn') }}

with

splits as (

    select
        symbol,
        ex_date,
        shares_after,
        shares_before,
        lag(ex_date) over (partition by symbol, shares_after, shares_before order by ex_date) as earlier_ex_date
    from {{ ref('stg_corporate_actions') }}
    where kind in ('split', 'stock_dividend')

)

select * from splits
where earlier_ex_date >= {{ dbt.dateadd('day', -10, 'ex_date') }}
