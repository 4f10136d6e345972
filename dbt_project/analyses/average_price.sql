-- Average price of each symbol on one day. Another day: --vars '{year: 2018, month: 1, day: 2}'
SELECT symbol, AVG(price) AS avg_price
FROM {{ ref('stock_market_data') }}
WHERE year = {{ var('year', 2026) }} AND month = {{ var('month', 1) }} AND day = {{ var('day', 18) }}
GROUP BY symbol
