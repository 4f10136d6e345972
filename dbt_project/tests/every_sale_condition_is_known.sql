-- Feeds and sessions of the run with codes that the seed sale_conditions does not have. Bars treat such a code as one that
-- forbids nothing: a warning. It is an error from one trade in a thousand on, if they are not few: a new code, or another
-- alphabet, then makes the bars. `dbt show --select unknown_conditions` lists the codes. That it depends on the view keeps it from blocking
-- models that don't: {{ ref('unknown_conditions') }}
{{
    config(
        severity='error',
        fail_calc='coalesce(max(per_million), 0)',
        warn_if='> 0',
        error_if='>= 1000',
        meta={'dagster': {'ref': {'name': 'unknown_conditions'}}}
    )
}}

select
    feed,
    session_date,
    min(unknown_codes) filter (where unknown_codes <> '') as example,
    count(*) filter (where unknown_codes <> '') as trades,
    case
        when count(*) filter (where unknown_codes <> '') < {{ var('few_unknown_conditions') }} then 1
        -- rounded up, so that one trade is never none
        else cast(ceil(1000000.0 * count(*) filter (where unknown_codes <> '') / count(*)) as bigint)
    end as per_million
from {{ ref('int_marked_trades') }}
where {{ in_window() }}
group by feed, session_date
having count(*) filter (where unknown_codes <> '') > 0
