with

daily_bars as (

    select * from {{ ref('daily_bars') }}

),

periods as (

    {%- for period in ['day', 'month', 'year'] %}

    select
        '{{ period }}' as period,
        cast(date_trunc('{{ period }}', session_date) as date) as period_start,
        symbol,
        feed,
        volume,
        trade_count
    from daily_bars
    {{- '\n\n    union all' if not loop.last }}
    {%- endfor %}

),

totals as (

    select
        period,
        period_start,
        feed,
        symbol,
        cast(sum(volume) as decimal(38, 6)) as total_volume,
        cast(sum(trade_count) as bigint) as trade_count,
        count(*) as sessions
    from periods
    group by period, period_start, feed, symbol

),

ranked as (

    select
        totals.*,
        row_number() over (
            partition by period, period_start, feed
            order by total_volume desc, symbol
        ) as place
    from totals

),

final as (

    select
        period,
        period_start,
        feed,
        place,
        symbol,
        total_volume,
        trade_count,
        sessions
    from ranked
    where place <= {{ var('top_volume_places') }}

)

select * from final
