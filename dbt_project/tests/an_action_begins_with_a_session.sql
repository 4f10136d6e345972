-- Ex-dates on which nothing is traded: no vendor's session, or the day of payment taken for the ex-date.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'stg_corporate_actions'}}}) }}

select actions.*
from {{ ref('stg_corporate_actions') }} as actions
left join {{ ref('stg_trading_sessions') }} as sessions
    on actions.ex_date = sessions.session_date
where sessions.session_date is null
    and actions.kind <> 'symbol_change'
    and actions.ex_date between (select min(session_date) from {{ ref('stg_trading_sessions') }})
    and (select max(session_date) from {{ ref('stg_trading_sessions') }})
