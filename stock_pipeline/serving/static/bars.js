// Bars as a chart needs them: one for each moment, and averages over them.

/**
 * One bar for each place on the axis, in its order. A minute in which the session's part changes has a bar for each
 * part; and autumn has an hour twice.
 */
export function merged(bars) {
  const found = new Map();
  for (const bar of bars) {
    const time = chartTime(bar.time);
    const before = found.get(time);
    if (!before) {
      found.set(time, { ...bar });
      continue;
    }
    before.open ??= bar.open;
    before.close = bar.close ?? before.close;
    before.high = pick(before.high, bar.high, Math.max);
    before.low = pick(before.low, bar.low, Math.min);
    before.volume = String(Number(before.volume) + Number(bar.volume));
    before.tradeCount += bar.tradeCount;
  }
  const places = [...found.keys()];
  return (typeof places[0] === "number" ? places.sort((one, other) => one - other) : places).map((place) => found.get(place));
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

const HOUR = 3_600_000;
const wall = new Intl.DateTimeFormat("en-US", { timeZone: "America/New_York", hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric" });
const shifts = new Map();

/** Milliseconds that New York's clocks are ahead of UTC's in an hour. */
function shiftOf(hour) {
  if (!shifts.has(hour)) {
    const parts = Object.fromEntries(wall.formatToParts(hour * HOUR).map(({ type, value }) => [type, Number(value)]));
    shifts.set(hour, Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour) - hour * HOUR);
  }
  return shifts.get(hour);
}

/**
 * A time as the chart has it: the date of a day; else seconds of New York's clock as if it were UTC's, because the
 * chart knows no time zone, and begins a day at midnight of UTC.
 */
export function chartTime(time) {
  if (isDay(time)) return time;
  const instant = Date.parse(time);
  return (instant + shiftOf(Math.floor(instant / HOUR))) / 1000;
}

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
