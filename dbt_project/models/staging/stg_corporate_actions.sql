{{ config(materialized='table') }}

with

news as (

    select * from {{ source('lake', 'corporate_actions') }}
    {%- if var('actions_known_at') %}
    where learned_at <= timestamp '{{ var("actions_known_at") }}'
    {%- endif %}

),

-- Equal contents are one action; its latest news says whether it is on.
latest as (

    select
        *,
        row_number() over (
            partition by source, kind, symbol, ex_date, process_date, new_symbol, shares_before, shares_after, cash_amount
            order by learned_at desc
        ) as place
    from news

),

announced as (

    select distinct
        kind,
        symbol,
        ex_date,
        new_symbol,
        shares_after,
        shares_before,
        cash_amount
    from latest
    where place = 1
        and not is_withdrawn

),

overrides as (

    select
        kind,
        symbol,
        ex_date,
        coalesce(new_symbol, '') as new_symbol,
        coalesce(shares_after, 0) as shares_after,
        coalesce(shares_before, 0) as shares_before,
        coalesce(cash_amount, 0) as cash_amount
    from {{ ref('corporate_action_overrides') }}

),

overridden as (

    select announced.*
    from announced
    left join overrides
        on announced.kind = overrides.kind
        and announced.symbol = overrides.symbol
        and announced.ex_date = overrides.ex_date
    where overrides.symbol is null

    union all

    select * from overrides

),

-- An override that changes nothing takes an announced action away.
final as (

    select
        kind,
        symbol,
        ex_date,
        new_symbol,
        cast(shares_after as decimal(18, 9)) as shares_after,
        cast(shares_before as decimal(18, 9)) as shares_before,
        cast(cash_amount as decimal(18, 9)) as cash_amount
    from overridden
    where shares_after <> shares_before
        or cash_amount > 0
        or new_symbol not in ('', symbol)

)

select * from final
