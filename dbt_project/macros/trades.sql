{# The columns of a trade in the catalog's order, without the partition columns: those come last in every relation.
   conditions: the expression of that column. #}
{% macro trade_columns(conditions='conditions') -%}
    event_id,
        feed,
        capture_mode,
        symbol,
        event_time,
        event_time_ns,
        sequence,
        price,
        volume,
        exchange,
        {{ conditions }},
        tape,
        status,
        version,
        ingest_time,
        session_date
{%- endmacro %}


{# Best row first among those of one event_id: `precedence` of stock_pipeline/domain/trade.py. #}
{% macro by_precedence() -%}
    event_time_ns desc,
                sequence desc,
                version desc,
                status desc,
                price desc,
                coalesce(volume, -1) desc,
                exchange desc,
                conditions desc,
                tape desc,
                capture_mode desc,
                feed desc,
                symbol desc,
                ingest_time asc
{%- endmacro %}


{# The total order of a symbol's trades: `order_key` of stock_pipeline/domain/trade.py. #}
{% macro trade_order() -%}
    row(event_time_ns, sequence, event_id)
{%- endmacro %}


{# The partitions that `trades` has, from Athena's metadata table, which reads no data. The local catalog has one of the
   same name. No source, because dbt could not describe it. #}
{% macro published_partitions() -%}
    {%- set trades = source('lake', 'trades') -%}
    {{ api.Relation.create(
        database=trades.database, schema=trades.schema, identifier=trades.identifier ~ '$partitions'
    ) }}
{%- endmacro %}
