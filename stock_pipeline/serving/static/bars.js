// Bars as a chart needs them: one for each moment, and averages over them.

/** One bar for each time. A minute in which the session's part changes has a bar for each part. */
export function merged(bars) {
  const found = [];
  for (const bar of bars) {
    const last = found.at(-1);
    if (last?.time !== bar.time) {
      found.push({ ...bar });
      continue;
    }
    last.open ??= bar.open;
    last.close = bar.close ?? last.close;
    last.high = pick(last.high, bar.high, Math.max);
    last.low = pick(last.low, bar.low, Math.min);
    last.volume = String(Number(last.volume) + Number(bar.volume));
    last.tradeCount += bar.tradeCount;
  }
  return found;
}

function pick(one, other, choose) {
  if (one === null || other === null) return one ?? other;
  return choose(Number(one), Number(other)) === Number(one) ? one : other;
}

/** Moving average over closes; bars without a close are passed over. */
export function averages(points, window) {
  const found = [];
  const closes = [];
  let sum = 0;
  for (const { time, close } of points) {
    if (close === undefined) continue;
    closes.push(close);
    sum += close;
    if (closes.length > window) sum -= closes[closes.length - 1 - window];
    if (closes.length >= window) found.push({ time, value: sum / window });
  }
  return found;
}

export const isDay = (time) => time.length === 10;

/** A time as the chart has it: seconds, or the date for a day. */
export const chartTime = (time) => (isDay(time) ? time : Date.parse(time) / 1000);

/** Stretches of bars outside regular hours. */
export function shadedStretches(bars) {
  const found = [];
  let open = null;
  for (const bar of bars) {
    const isOutside = bar.sessionPart !== null && bar.sessionPart !== "regular";
    if (isOutside && open?.part === bar.sessionPart) open.last = chartTime(bar.time);
    else if (isOutside) found.push((open = { part: bar.sessionPart, first: chartTime(bar.time), last: chartTime(bar.time) }));
    else open = null;
  }
  return found;
}

/** A corporate action in few words. */
export function actionText(action) {
  if (action.kind === "cash_dividend") return `Dividend ${Number(action.cashAmount)}`;
  if (action.kind === "symbol_change") return `Now ${action.newSymbol}`;
  return `${action.kind === "split" ? "Split" : "Stock dividend"} ${Number(action.sharesAfter)}:${Number(action.sharesBefore)}`;
}
