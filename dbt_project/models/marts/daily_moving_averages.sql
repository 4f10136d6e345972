with

daily_bars as (

    select * from {{ ref('daily_bars_adjusted') }}
    where adjustment = 'splits'

),

-- Sessions without a price are no step of an average.
closes as (

    select
        symbol,
        feed,
        session_date,
        close,
        row_number() over (partition by symbol, feed order by session_date) - 1 as session_number,
        year,
        month,
        day
    from daily_bars
    where close is not null

),

simple as (

    select
        symbol,
        feed,
        session_date,
        close,
        {%- for span in average_spans() %}
        {{ simple_average(span) }} as sma_{{ span }},
        {%- endfor %}
        year,
        month,
        day
    from closes

),

spans as (

    {%- for span in average_spans() %}
    select {{ span }} as span, cast({{ span - 1 }} as double) / {{ span + 1 }} as kept
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}

),

-- An exponential average needs its own last value. SQL without recursion has it as a sum of powers, which overflow over
-- long histories. So powers begin anew in each block of ten spans, and a block takes over the two before it. What came
-- earlier weighs less than a double can tell.
placed as (

    select
        closes.symbol,
        closes.feed,
        closes.session_date,
        spans.span,
        spans.kept,
        mod(closes.session_number, 10 * spans.span) as place,
        cast(
            (closes.session_number - mod(closes.session_number, 10 * spans.span)) / (10 * spans.span) as bigint
        ) as block,
        cast(closes.close as double)
        * case when closes.session_number = 0 then 1 else 1 - spans.kept end as weighted
    from closes
    cross join spans

),

within_block as (

    select
        placed.*,
        power(kept, place) * sum(weighted * power(kept, -place)) over (
            partition by symbol, feed, span, block
            order by place
            rows between unbounded preceding and current row
        ) as so_far
    from placed

),

block_ends as (

    select
        symbol,
        feed,
        span,
        block,
        so_far
    from within_block
    where place = 10 * span - 1

),

exponential as (

    select
        within_block.symbol,
        within_block.feed,
        within_block.session_date,
        within_block.span,
        within_block.so_far
        + power(within_block.kept, within_block.place + 1) * (
            coalesce(last_block.so_far, 0)
            + power(within_block.kept, 10 * within_block.span) * coalesce(block_before.so_far, 0)
        ) as average
    from within_block
    left join block_ends as last_block
        on within_block.symbol = last_block.symbol
        and within_block.feed = last_block.feed
        and within_block.span = last_block.span
        and within_block.block = last_block.block + 1
    left join block_ends as block_before
        on within_block.symbol = block_before.symbol
        and within_block.feed = block_before.feed
        and within_block.span = block_before.span
        and within_block.block = block_before.block + 2

),

by_session as (

    select
        symbol,
        feed,
        session_date
        {%- for span in average_spans() %},
        cast(round(max(case when span = {{ span }} then average end), 6) as decimal(18, 6)) as ema_{{ span }}
        {%- endfor %}
    from exponential
    group by symbol, feed, session_date

),

final as (

    select
        simple.symbol,
        simple.feed,
        simple.session_date,
        simple.close,
        {%- for span in average_spans() %}
        simple.sma_{{ span }},
        {%- endfor %}
        {%- for span in average_spans() %}
        by_session.ema_{{ span }},
        {%- endfor %}
        simple.year,
        simple.month,
        simple.day
    from simple
    inner join by_session
        on simple.symbol = by_session.symbol
        and simple.feed = by_session.feed
        and simple.session_date = by_session.session_date

)

select * from final
