-- Codes of the run's sessions that the seed sale_conditions does not have, with their number. A warning: bars treat such a code as
-- one that forbids nothing. `dbt show --select unknown_conditions` lists them.
{{ config(severity='warn') }}

select unknown_codes, feed, sum(trade_count) as trades
from {{ ref('unknown_conditions') }}
where {{ in_window() }}
group by unknown_codes, feed
