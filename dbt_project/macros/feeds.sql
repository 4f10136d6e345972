{# Which session a feed's trades belong to: the rules of stock_pipeline/domain/feed_session.py, by the feed's name. #}


{% macro is_overnight_feed(feed) -%}
    ({{ feed }} in ('boats', 'overnight') or substr({{ feed }}, 1, 10) = 'overnight_')
{%- endmacro %}


{% macro is_continuous_feed(feed) -%}
    ({{ feed }} = 'crypto' or substr({{ feed }}, 1, 7) = 'crypto_')
{%- endmacro %}


{# Whether prints of a part of the session make the prices of its daily bar: all of an overnight venue's do. #}
{% macro makes_daily_prices() -%}
    (session_part = 'regular' or {{ is_overnight_feed('feed') }})
{%- endmacro %}
