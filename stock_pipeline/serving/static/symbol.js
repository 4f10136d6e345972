// One symbol in one feed: its chart, its day, and its newest trades.

import { alertLines } from "/static/alerts.js";
import { ApiError, get, getIfThere } from "/static/api.js";
import { actionText, merged } from "/static/bars.js";
import { AVERAGES, Chart, library } from "/static/chart.js";
import { atMostEvery, h, setText } from "/static/dom.js";
import * as format from "/static/format.js";
import { keyOf } from "/static/store.js";

const REFRESH_MILLISECONDS = 1000;
const TABLE_ROWS = 390;
const RANGES = [
  { name: "1D", title: "One day, by minutes", size: "1m", days: 0 },
  { name: "5D", title: "Five sessions, by minutes", size: "1m", days: 6 },
  { name: "1Y", title: "One year, by days", size: "1d", days: 366 },
  { name: "5Y", title: "Five years, by days", size: "1d", days: 1830 },
];
const daysBefore = (date, days) => new Date(Date.parse(date) - days * 86_400_000).toISOString().slice(0, 10);

const FIGURES = [
  ["Open", (quote) => format.price(quote.open)],
  ["High", (quote) => format.price(quote.high)],
  ["Low", (quote) => format.price(quote.low)],
  ["Previous close", (quote) => format.price(quote.previousClose)],
  ["Volume", (quote) => format.shares(quote.volume)],
  ["VWAP", (quote) => format.price(quote.vwap)],
  ["Trades", (quote) => format.count(quote.tradeCount)],
  ["Last eligible", (quote) => format.price(quote.lastEligible)],
  ["SMA 5 trades", (quote) => format.price(quote.averages?.[5])],
  ["SMA 20 trades", (quote) => format.price(quote.averages?.[20])],
];

export class SymbolView {
  name = "symbol";
  #range = RANGES[0];
  #chart = null;
  #bars = [];
  #actions = [];
  #stop = new AbortController();
  #asked = 0;
  #seen = null;

  constructor(store, symbol, feed) {
    Object.assign(this, { store, symbol, feed, title: symbol });
    const { signal } = this.#stop;
    this.head = { badge: h("span", { class: "badge" }), price: h("span", { class: "price" }), change: h("span", { class: "change" }), when: h("span", { class: "when" }) };
    this.figures = new Map(FIGURES.map(([title, text]) => [h("dd", {}, format.NOTHING), { title, text }]));
    this.canvas = h("div", { class: "chart", role: "img", "aria-label": `Candles of ${symbol}` });
    this.ranges = h("div", { class: "group", role: "group", "aria-label": "Range" }, RANGES.map((range) =>
      h("button", { type: "button", title: range.title, "aria-label": range.title, "aria-pressed": String(range === this.#range), onclick: () => this.#show(range) }, range.name)));
    this.note = h("p", { class: "small", role: "status" });
    this.table = h("details", { ontoggle: () => this.#fillTable() }, h("summary", {}, "These bars as a table"));
    this.alerts = h("section", { class: "panel card", "aria-label": "Alerts", hidden: true });
    this.trades = h("tbody");
    this.tradesNote = h("p", { class: "small" });
    this.unknown = h("div", { class: "empty", hidden: true }, h("img", { src: "/static/icon.svg", alt: "" }), h("h2", {}, `Nothing is known of ${symbol}`),
      h("p", {}, "It has no trade in the running session, and no bars of earlier days. Is it spelt so? ", h("a", { href: "#/" }, "The market"), " lists every symbol that is followed. If it trades later, it appears here by itself."));
    this.known = h("div", { class: "known" },
      h("dl", { class: "figures card" }, [...this.figures].map(([shown, { title }]) => h("div", {}, h("dt", {}, title), shown))),
      this.alerts,
      h("div", { class: "two" },
        h("section", { class: "panel card", "aria-label": "Chart" },
          h("div", { class: "tools" }, this.ranges,
            h("p", { class: "legend" }, h("span", {}, h("i"), `average of ${AVERAGES[0]} bars`), h("span", {}, h("i", { class: "second" }), `of ${AVERAGES[1]}`), h("span", {}, h("i", { class: "shaded" }), "outside regular hours"))),
          this.canvas, this.note, this.table),
        h("section", { class: "panel card", "aria-label": "Newest trades" }, h("h2", {}, "Newest trades"),
          h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Newest trades, scrolls" },
            h("table", {}, h("thead", {}, h("tr", {}, ["Time", "Price", "Shares", "Conditions"].map((title, place) => h("th", { scope: "col", class: place === 1 || place === 2 ? "number" : null }, title)))), this.trades)), this.tradesNote)));
    this.element = h("section", { class: "page" },
      h("div", { class: "quote" }, h("h1", {}, symbol, this.head.badge), this.head.price, this.head.change, this.head.when), this.unknown, this.known);

    this.refreshSoon = atMostEvery(REFRESH_MILLISECONDS, () => this.#refresh());
    store.addEventListener("board", () => {
      this.#refreshAll();
      this.#judge();
    }, { signal });
    store.addEventListener("quotes", ({ detail }) => {
      if (!detail.changed.some((quote) => this.#isMine(quote))) return;
      this.#refreshAll();
      this.#judge();
    }, { signal });
    store.addEventListener("alerts", () => this.#showAlerts(), { signal });
    this.clock = setInterval(() => this.#showQuote(), 1000);
  }

  shown() {
    this.#showQuote();
    this.#showAlerts();
    this.#show(this.#range);
    this.#loadTrades();
    this.#judge();
  }

  close() {
    this.#stop.abort();
    clearInterval(this.clock);
    this.refreshSoon.stop();
    this.#chart?.close();
    this.isClosed = true;
  }

  #isMine = (quote) => quote.symbol === this.symbol && (this.feed === null || quote.feed === this.feed);

  get #quote() {
    if (this.feed) return this.store.quotes.get(keyOf(this));
    return [...this.store.quotes.values()].find(this.#isMine);
  }

  #showAlerts() {
    const alerts = this.store.alertsOf(this);
    this.alerts.hidden = alerts.length === 0;
    this.alerts.replaceChildren(h("h2", {}, "Alerts"),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Alerts, scrolls" }, alertLines(alerts, false)));
  }

  /** Say so of a symbol of which nothing is known, whose panels would only be empty. */
  async #judge() {
    if (!this.store.loaded || this.isClosed) return;
    let isKnown = Boolean(this.#quote);
    if (!isKnown && this.feed) {
      const end = this.store.sessionDate;
      const earlier = await getIfThere(`/bars/${encodeURIComponent(this.symbol)}`, { size: "1d", feed: this.feed, limit: 1, end, start: end && daysBefore(end, RANGES.at(-1).days) }).catch(() => null);
      // what can't be asked may be there
      isKnown = earlier === null || earlier.bars.length > 0 || Boolean(this.#quote);
    }
    this.unknown.hidden = isKnown;
    this.known.hidden = !isKnown;
  }

  #refreshAll() {
    this.#showQuote();
    this.refreshSoon();
  }

  #showQuote() {
    const quote = this.#quote;
    this.feed ??= quote?.feed ?? null;
    setText(this.head.badge, this.feed ?? "");
    this.head.badge.hidden = !this.feed;
    if (!quote) {
      setText(this.head.when, this.store.loaded ? "No trade in the latest state" : "");
      return;
    }
    setText(this.head.price, format.price(quote.price));
    setText(this.head.change, quote.change === null ? "" : `${format.signed(quote.change)} (${format.signed(quote.changePercent, "%")})`);
    this.head.change.className = `change ${format.direction(quote.change)}`;
    setText(this.head.when, `${format.timeOf(quote.eventTime)} ET, ${format.dateOf(quote.sessionDate)} · ${format.age(quote.eventTime)} ago`);
    for (const [shown, { text }] of this.figures) setText(shown, text(quote));
  }

  async #show(range) {
    this.#range = range;
    [...this.ranges.children].forEach((button, place) => button.setAttribute("aria-pressed", String(RANGES[place] === range)));
    setText(this.note, "Loading bars");
    const loaded = await this.#loadBars();
    if (!loaded || this.isClosed) return;
    this.#actions = (await getIfThere(`/actions/${encodeURIComponent(this.symbol)}`).catch(() => null))?.actions ?? [];
    if (this.isClosed || this.#range !== range) return;
    await this.#openChart();
    this.#chart?.set(this.#bars, this.#actions);
    this.#said();
  }

  async #openChart() {
    if (this.#chart) return;
    try {
      const charts = await library();
      if (!this.isClosed && !this.#chart) this.#chart = new Chart(charts, this.canvas);
    } catch {
      this.canvas.removeAttribute("role");
      this.canvas.removeAttribute("aria-label");
      this.canvas.className = "chart-away";
      this.canvas.replaceChildren(h("p", {}, "To see candles, run ", h("code", {}, "pip install lwcharts"), " where the server runs, and load the page again."));
      this.table.open = true;
    }
  }

  /** Ask for the range's bars, or only for the session's anew; says whether they are the newest asked for. */
  async #loadBars(isRefresh = false) {
    const asked = ++this.#asked;
    const range = this.#range;
    const session = this.store.sessionDate ?? this.#quote?.sessionDate ?? null;
    const of = `${range.name} ${session}`;
    let earlier = this.#earlier;
    let live;
    try {
      if (!isRefresh || earlier.of !== of) {
        const before = session && range.days > 0;
        earlier = { of, bars: before ? await this.#pages(range.size, daysBefore(session, range.days), daysBefore(session, 1)) : [] };
      }
      live = await this.#pages(range.size, session, session);
    } catch (error) {
      if (error instanceof ApiError && asked === this.#asked) setText(this.note, error.message);
      return false;
    }
    if (asked !== this.#asked) return false;
    this.#earlier = earlier;
    this.#raw = [...earlier.bars, ...live];
    this.#bars = merged(this.#raw);
    return true;
  }

  async #pages(size, first, end) {
    const bars = [];
    for (let start = first; ;) {
      const page = await get(`/bars/${encodeURIComponent(this.symbol)}`, { size, feed: this.feed, start, end }, this.#stop.signal);
      bars.push(...page.bars);
      this.feed ??= page.feed;
      if (!page.next) return bars;
      start = page.next;
    }
  }

  #earlier = { of: null, bars: [] };
  #raw = [];

  async #refresh() {
    if (this.isClosed) return;
    this.#loadTrades();
    if (!(await this.#loadBars(true)) || this.isClosed) return;
    if (!this.#chart) await this.#show(this.#range);
    else {
      this.#chart.update(this.#bars);
      this.#said();
    }
  }

  #said() {
    const last = this.#bars.at(-1);
    this.canvas.dataset.bars = this.#bars.length;
    this.canvas.dataset.lastClose = last?.close ?? "";
    this.canvas.dataset.redrawn = this.#chart?.redrawn ?? 0;
    const first = this.#bars[0]?.time.slice(0, 10);
    const marks = this.#actions.filter(({ exDate }) => first && exDate >= first).map((action) => `${actionText(action)} on ${format.dateOf(action.exDate)}`);
    const text = this.#bars.length ? format.counted(this.#bars.length, this.#range.size === "1m" ? "minute bar" : "daily bar") : "No bars in this range yet";
    setText(this.note, [text, ...marks].join(" · "));
    if (this.canvas.getAttribute("role")) this.canvas.setAttribute("aria-label", `Candles of ${this.symbol}: ${text}, last close ${format.price(last?.close)}. The same is in the table below.`);
    this.#fillTable();
  }

  #fillTable() {
    if (!this.table.open) return;
    const isMinute = this.#range.size === "1m";
    const titles = [isMinute ? "Minute (ET)" : "Session", ...(isMinute ? ["Part"] : []), "Open", "High", "Low", "Close", "Volume", "VWAP", "Trades"];
    const start = isMinute ? 2 : 1;
    const rows = this.#raw.slice(-TABLE_ROWS).reverse().map((bar) => h("tr", {},
      h("th", { scope: "row" }, isMinute ? format.dayAndMinuteOf(bar.time) : bar.time), isMinute && h("td", {}, format.PARTS[bar.sessionPart] ?? bar.sessionPart),
      [format.price(bar.open), format.price(bar.high), format.price(bar.low), format.price(bar.close), format.shares(bar.volume), format.price(bar.vwap), format.count(bar.tradeCount)].map((text) => h("td", { class: "number" }, text))));
    this.table.querySelector(".scroll")?.remove();
    const caption = `Bars of ${this.symbol}, newest first${this.#raw.length > TABLE_ROWS ? `; the newest ${TABLE_ROWS}` : ""}`;
    this.table.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Bars, scrolls" },
      h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, titles.map((title, place) => h("th", { scope: "col", class: place >= start ? "number" : null }, title)))), h("tbody", {}, rows))));
  }

  async #loadTrades() {
    const answer = await getIfThere(`/trades/${encodeURIComponent(this.symbol)}`, { feed: this.feed }).catch(() => null);
    if (!answer || this.isClosed) return;
    const seen = this.#seen;
    this.#seen = new Set(answer.trades.map((trade) => `${trade.eventId} ${trade.version}`));
    this.trades.replaceChildren(...answer.trades.map((trade) => this.#tradeRow(trade, seen !== null && !seen.has(`${trade.eventId} ${trade.version}`))));
    setText(this.tradesNote, answer.trades.length ? `The newest ${format.count(answer.trades.length)} that the averages are made of` : "No trades yet");
  }

  #tradeRow(trade, isNew) {
    const status = { corrected: ["warn", "corrected"], cancelled: ["bad", "cancelled"], notice: ["", "notice"] }[trade.status];
    return h("tr", { class: [trade.status, isNew && "arrived"].filter(Boolean).join(" ") },
      h("td", {}, format.timeOf(trade.eventTime)), h("td", { class: "number" }, format.price(trade.price)), h("td", { class: "number" }, format.shares(trade.volume)),
      h("td", {}, status && [h("span", { class: `badge ${status[0]}` }, status[1]), " "], trade.conditionNames.join(", ") || (status ? "" : "Regular sale")));
  }
}
