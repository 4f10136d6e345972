-- Every price of one symbol on one day, in order. Another: --vars '{symbol: XXX, year: 2018, month: 1, day: 2}'
SELECT event_time, price
FROM {{ ref('stock_market_data') }}
WHERE symbol = '{{ var("symbol", "AAPL") }}'
    AND year = {{ var('year', 2026) }} AND month = {{ var('month', 1) }} AND day = {{ var('day', 18) }}
ORDER BY event_time
