{# The columns of a trade in the catalog's order, without the partition columns: those come last in every relation.
   conditions, volume: the expressions of those columns. #}
{% macro trade_columns(conditions='conditions', volume='volume') -%}
    event_id,
        feed,
        capture_mode,
        symbol,
        event_time,
        event_time_ns,
        sequence,
        price,
        {{ volume }},
        exchange,
        {{ conditions }},
        tape,
        status,
        version,
        ingest_time,
        session_date
{%- endmacro %}


{# A volume in one piece: the lake has whole shares, and millionths of one beside them, which older files lack. #}
{% macro volume_of_lake() -%}
    cast(cast(volume as decimal(25, 6)) + coalesce(volume_fraction, 0) * 0.000001 as decimal(25, 6)) as volume
{%- endmacro %}


{# Best row first among those of one event_id: `precedence` of stock_pipeline/domain/trade.py. #}
{% macro by_precedence() -%}
    event_time_ns desc,
                sequence desc,
                version desc,
                status desc,
                price desc,
                coalesce(volume, -1) desc,
                coalesce(volume_fraction, 0) desc,
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
