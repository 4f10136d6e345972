// The chart: candles, volume, moving averages, shaded parts of the session, and marks of corporate actions.

import { actionText, averages, chartTime, isDay, shadedStretches } from "/static/bars.js";
import * as format from "/static/format.js";

export const AVERAGES = [5, 20];
let loading = null;

/** Load the charting library once. Raises if it is not there. */
export function library() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "/static/lightweight-charts.standalone.production.js";
    script.onload = () => done(globalThis.LightweightCharts);
    script.onerror = () => {
      loading = null;
      script.remove();
      failed(new Error("no charting library"));
    };
    document.head.append(script);
  });
  return loading;
}

/** A colour of the style sheet as the canvas takes it. */
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  probe.style.display = "none";
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const faint = (rgb, share) => rgb.replace(/^rgba?\(([^)]+)\)$/, (_, parts) => `rgba(${parts.split(",").slice(0, 3).join(",")}, ${share})`);

/** Fills the ground behind stretches of bars. */
class Shading {
  stretches = [];
  #chart = null;
  #ask = () => {};

  attached({ chart, requestUpdate }) {
    this.#chart = chart;
    this.#ask = requestUpdate;
  }

  show(stretches, fill) {
    this.stretches = stretches;
    this.fill = fill;
    this.#ask();
  }

  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) }];
  }

  #draw(target) {
    const scale = this.#chart.timeScale();
    const half = scale.options().barSpacing / 2;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
      context.fillStyle = this.fill;
      for (const { first, last } of this.stretches) {
        const left = scale.timeToCoordinate(first);
        const right = scale.timeToCoordinate(last);
        if (left === null || right === null) continue;
        context.fillRect((left - half) * horizontalPixelRatio, 0, (right - left + 2 * half) * horizontalPixelRatio, bitmapSize.height);
      }
    });
  }
}

export class Chart {
  #points = [];
  #bars = [];
  #actions = [];
  redrawn = 0;

  constructor(charts, element) {
    this.charts = charts;
    this.element = element;
    // its logo would need a style that the page's policy forbids; the footer says whose it is
    this.chart = charts.createChart(element, { autoSize: true, layout: { attributionLogo: false, background: { color: "transparent" } }, rightPriceScale: { scaleMargins: { top: 0.08, bottom: 0.24 } } });
    const still = { lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false, lineWidth: 2 };
    this.volume = this.chart.addSeries(charts.HistogramSeries, { ...still, priceScaleId: "", priceFormat: { type: "volume" } });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.lines = AVERAGES.map((window) => [window, this.chart.addSeries(charts.LineSeries, { ...still, lineWidth: 1 })]);
    this.candles = this.chart.addSeries(charts.CandlestickSeries, { borderVisible: false });
    this.shading = new Shading();
    this.candles.attachPrimitive(this.shading);
    this.marks = charts.createSeriesMarkers(this.candles, []);
    this.#axis();
    this.paint();
    this.repaint = () => this.paint();
    addEventListener("themechange", this.repaint);
  }

  close() {
    removeEventListener("themechange", this.repaint);
    this.chart.remove();
  }

  /** The words of the axis. */
  #axis() {
    const { TickMarkType } = this.charts;
    this.chart.applyOptions({
      localization: {
        timeFormatter: (time) => (typeof time === "number" ? `${format.axisDayAndMinute(time)} ET` : format.dateOf(textOf(time))),
      },
      timeScale: {
        timeVisible: true,
        // the first bars of a day are candles, not walls
        maxBarSpacing: 14,
        secondsVisible: false,
        tickMarkFormatter: (time, type) => {
          if (typeof time === "number") return type <= TickMarkType.DayOfMonth ? format.axisDay(time) : format.axisMinute(time);
          const date = Date.parse(textOf(time));
          return type === TickMarkType.Year ? textOf(time).slice(0, 4) : type === TickMarkType.Month ? format.monthOf(date).slice(0, 3) : `${Number(textOf(time).slice(8))} ${format.monthOf(date).slice(0, 3)}`;
        },
      },
    });
  }

  /** Take the colours of the page. */
  paint() {
    const up = colour("up");
    const down = colour("down");
    this.tints = { up: faint(up, 0.45), down: faint(down, 0.45) };
    const line = colour("line");
    this.chart.applyOptions({
      layout: { textColor: colour("soft"), fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 },
      grid: { vertLines: { color: faint(line, 0.6) }, horzLines: { color: faint(line, 0.6) } },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    this.lines.forEach(([, series], place) => series.applyOptions({ color: colour(`average-${place + 1}`) }));
    this.volume.setData(this.#points.map((point) => this.#volumeOf(point)));
    this.shading.show(shadedStretches(this.#bars), colour("shade"));
    this.#mark();
  }

  /** Show bars, anew and in full. */
  set(bars, actions) {
    this.#bars = bars;
    this.#actions = actions;
    this.#points = bars.map(pointOf);
    const digits = bars.some((bar) => /\.\d\d0*[1-9]/.test(bar.close ?? "") && Number(bar.close) < 10) ? 4 : 2;
    this.candles.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
    this.candles.setData(this.#points.map(candleOf));
    this.#rest();
    this.chart.timeScale().fitContent();
  }

  /** Show what changed since; returns the number of older candles that were drawn anew. */
  update(bars) {
    const points = bars.map(pointOf);
    const known = new Map(this.#points.map((point) => [point.time, point]));
    const lastTime = this.#points.at(-1)?.time;
    const changed = points.filter((point) => !isSame(point, known.get(point.time)));
    const older = changed.filter((point) => lastTime !== undefined && point.time < lastTime);
    const isGone = this.#points.some((point) => !points.some(({ time }) => time === point.time));
    if (!changed.length && !isGone) return 0;
    this.#bars = bars;
    this.#points = points;
    // a bar between two others, or one that is gone, moves all that follow
    if (isGone || older.some((point) => !known.has(point.time))) this.candles.setData(points.map(candleOf));
    else for (const point of changed) this.candles.update(candleOf(point), point.time < lastTime);
    this.#rest();
    this.redrawn += older.length;
    return older.length;
  }

  #rest() {
    this.volume.setData(this.#points.map((point) => this.#volumeOf(point)));
    for (const [window, series] of this.lines) series.setData(averages(this.#points, window));
    this.shading.show(shadedStretches(this.#bars), colour("shade"));
    this.#mark();
  }

  #mark() {
    const days = new Map();
    for (const bar of this.#bars) {
      const date = isDay(bar.time) ? bar.time : newYorkDate(bar.time);
      if (!days.has(date)) days.set(date, chartTime(bar.time));
    }
    const [ink, text] = [colour("accent"), colour("warn")];
    const marks = this.#actions.filter(({ exDate }) => days.has(exDate)).map((action) => ({
      time: days.get(action.exDate),
      position: "aboveBar",
      shape: action.kind === "cash_dividend" ? "circle" : "square",
      color: action.kind === "cash_dividend" ? ink : text,
      text: actionText(action),
    }));
    this.marks.setMarkers(marks.sort((a, b) => (a.time < b.time ? -1 : 1)));
  }

  #volumeOf({ time, open, close, volume }) {
    return { time, value: volume, color: close !== undefined && close < open ? this.tints?.down : this.tints?.up };
  }
}

const dates = new Intl.DateTimeFormat("en-CA", { timeZone: "America/New_York" });
const newYorkDate = (iso) => dates.format(new Date(iso));

const textOf = (time) => (typeof time === "string" ? time : `${time.year}-${String(time.month).padStart(2, "0")}-${String(time.day).padStart(2, "0")}`);

function pointOf(bar) {
  const point = { time: chartTime(bar.time), volume: Number(bar.volume) };
  // without a trade that may set a price there is volume, and no candle
  if (bar.open === null || bar.close === null) return point;
  return { ...point, open: Number(bar.open), high: Number(bar.high), low: Number(bar.low), close: Number(bar.close) };
}

const candleOf = ({ time, open, high, low, close }) => (open === undefined ? { time } : { time, open, high, low, close });
const isSame = (one, other) => other !== undefined && ["open", "high", "low", "close", "volume"].every((name) => one[name] === other[name]);
