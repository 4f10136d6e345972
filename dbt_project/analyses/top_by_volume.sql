-- The five symbols of a year with most shares traded. Another year: dbt show --limit -1 --vars '{year: 2018}'
SELECT symbol, SUM(volume) AS total_volume
FROM {{ ref('stock_market_data') }}
WHERE year = {{ var('year', 2026) }}
GROUP BY symbol
ORDER BY total_volume DESC
LIMIT 5
