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


{# The partitions that `trades` has. The local catalog has a table of the same name. #}
{% macro published_partitions() -%}
    {{ partitions_of(source('lake', 'trades')) }}
{%- endmacro %}


{# The registered partitions of a table, from Athena's metadata table, which reads no data. No source, because dbt could not
   describe it. #}
{% macro partitions_of(relation) -%}
    {{ api.Relation.create(
        database=relation.database, schema=relation.schema, identifier=relation.identifier ~ '$partitions'
    ) }}
{%- endmacro %}
