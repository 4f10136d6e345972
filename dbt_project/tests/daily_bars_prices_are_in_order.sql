-- Low is the least and high the greatest of the four prices, and a bar has all four of them or none.
select symbol, feed, session_date, open, high, low, close
from {{ ref('daily_bars') }}
where low > open
    or low > close
    or high < open
    or high < close
    or ((open is null) <> (high is null))
    or ((open is null) <> (low is null))
    or ((open is null) <> (close is null))
