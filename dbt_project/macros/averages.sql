{# Moving averages over a symbol's sessions. #}


{# Sessions that each average covers. #}
{% macro average_spans() %}{{ return([5, 20, 50, 200]) }}{% endmacro %}


{# Mean of the last `span` closes; null until there are so many. #}
{% macro simple_average(span) -%}
    case
            when session_number >= {{ span }} - 1
                then
                    {{ price_per_share(
                        'sum(close) over (partition by symbol, feed order by session_number rows between '
                        ~ (span - 1) ~ ' preceding and current row)',
                        'cast(' ~ span ~ ' as bigint)'
                    ) }}
        end
{%- endmacro %}
