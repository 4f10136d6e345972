// The market: a row for each symbol and feed. Only the rows in sight exist, so thousands cost no more than a screen.

import { AlertsPanel } from "/static/alerts.js";
import { getIfThere } from "/static/api.js";
import { atMostEvery, h, setText, sparkline } from "/static/dom.js";
import * as format from "/static/format.js";
import { keyOf } from "/static/store.js";

const ROWS_BEYOND = 8;
const SORT_MILLISECONDS = 1000;
const SPARK_MILLISECONDS = 15_000;
const SPARK_MINUTES = 60;

const number = (text) => (text === null || text === undefined ? null : Number(text));
const average = (window) => (quote) => quote.averages?.[window];

// value: what a column sorts by. from: the width of screen that has room for it.
const COLUMNS = [
  { name: "symbol", title: "Symbol", value: (quote) => quote.symbol },
  { name: "spark", title: "Last hour" },
  { name: "price", title: "Price", value: (quote) => number(quote.price), text: (quote) => format.price(quote.price) },
  { name: "percent", title: "Change %", value: (quote) => number(quote.changePercent), text: (quote) => format.signed(quote.changePercent, "%"), signed: true },
  { name: "change", title: "Change", value: (quote) => number(quote.change), text: (quote) => format.signed(quote.change), signed: true, from: "middle" },
  { name: "eligible", title: "Last eligible", value: (quote) => number(quote.lastEligible), text: (quote) => format.price(quote.lastEligible), from: "wide" },
  { name: "open", title: "Open", value: (quote) => number(quote.open), text: (quote) => format.price(quote.open), from: "wide" },
  { name: "high", title: "High", value: (quote) => number(quote.high), text: (quote) => format.price(quote.high), from: "middle" },
  { name: "low", title: "Low", value: (quote) => number(quote.low), text: (quote) => format.price(quote.low), from: "middle" },
  { name: "volume", title: "Volume", value: (quote) => number(quote.volume), text: (quote) => format.compact(quote.volume), from: "middle" },
  { name: "vwap", title: "VWAP", value: (quote) => number(quote.vwap), text: (quote) => format.mean(quote.vwap), from: "middle" },
  { name: "sma5", title: "SMA 5", value: (quote) => number(average(5)(quote)), text: (quote) => format.mean(average(5)(quote)), from: "wide" },
  { name: "sma20", title: "SMA 20", value: (quote) => number(average(20)(quote)), text: (quote) => format.mean(average(20)(quote)), from: "wide" },
  { name: "age", title: "Age", value: (quote) => -Date.parse(quote.eventTime), text: (quote) => format.age(quote.eventTime), from: "middle" },
];
const NUMBERS = COLUMNS.filter((column) => column.text);

export class MarketView {
  name = "market";
  title = "Market";
  #order = [];
  #rows = new Map();
  #sparks = new Map();
  #sort = { column: COLUMNS[0], down: false };
  #rowHeight = 40;
  #stop = new AbortController();

  constructor(store) {
    this.store = store;
    this.search = h("input", { type: "search", placeholder: "Filter symbols  ( / )", "aria-label": "Filter symbols", autocomplete: "off", spellcheck: "false", oninput: () => this.#sortNow(true) });
    this.about = h("p", { class: "about" });
    this.heads = new Map(COLUMNS.map((column) => [column, this.#head(column)]));
    this.body = h("div", { class: "rows", role: "rowgroup" });
    this.grid = h("div", { class: "grid", role: "table", "aria-label": "Latest prices" },
      h("div", { class: "head", role: "rowgroup" }, h("div", { class: "row", role: "row", "aria-rowindex": "1" }, [...this.heads.values()])),
      this.body);
    this.board = h("div", { class: "board card", tabindex: "0", role: "region", "aria-label": "Market, scrolls" }, this.grid);
    this.empty = h("div", { class: "empty", hidden: true });
    this.alerts = new AlertsPanel();
    this.alerts.show(store.alerts);
    this.element = h("section", { class: "market" },
      h("div", { class: "bar" }, h("h1", {}, "Market"), this.about, this.search), this.alerts.element, this.board, this.empty);

    this.sortSoon = atMostEvery(SORT_MILLISECONDS, () => this.#sortNow(false));
    this.sparkSoon = atMostEvery(250, () => this.#loadSparks());
    const { signal } = this.#stop;
    store.addEventListener("board", () => this.#sortNow(false), { signal });
    store.addEventListener("quotes", (event) => this.#changed(event.detail), { signal });
    store.addEventListener("state", () => this.#tell(), { signal });
    store.addEventListener("alerts", () => this.#showAlerts(), { signal });
    this.board.addEventListener("scroll", () => this.#draw(), { signal, passive: true });
    this.board.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.clock = setInterval(() => this.#draw(), 1000);
    this.resized = new ResizeObserver(() => this.#draw());
  }

  shown() {
    this.resized.observe(this.board);
    this.#sortNow(false);
  }

  close() {
    this.#stop.abort();
    clearInterval(this.clock);
    this.resized.disconnect();
    this.sortSoon.stop();
    this.sparkSoon.stop();
  }

  #head(column) {
    const shown = column.value
      ? h("button", { type: "button", onclick: () => this.#sortBy(column) }, column.title)
      : h("button", { type: "button", disabled: true }, column.title);
    const sort = column === this.#sort.column ? "ascending" : column.value ? "none" : null;
    return h("div", { class: `cell ${column.name} ${column.from ?? ""}`, role: "columnheader", "aria-sort": sort }, shown);
  }

  #sortBy(column) {
    const isSame = this.#sort.column === column;
    this.heads.get(this.#sort.column).setAttribute("aria-sort", "none");
    // of figures the largest is looked for
    this.#sort = { column, down: isSame ? !this.#sort.down : column.name !== "symbol" };
    this.heads.get(column).setAttribute("aria-sort", this.#sort.down ? "descending" : "ascending");
    this.#sortNow(true);
  }

  #sortNow(toTop) {
    const wanted = this.search.value.trim().toUpperCase();
    const { column, down } = this.#sort;
    const found = [];
    for (const [key, quote] of this.store.quotes) {
      if (!wanted || quote.symbol.includes(wanted) || quote.feed.toUpperCase().includes(wanted)) found.push([column.value(quote), key]);
    }
    const sign = down ? -1 : 1;
    found.sort(([a, first], [b, second]) => {
      if (a === b) return first < second ? -1 : 1;
      // what has no figure comes last in either direction
      if (a === null || b === null) return a === null ? 1 : -1;
      return a < b ? -sign : sign;
    });
    this.#order = found.map(([, key]) => key);
    if (toTop) this.board.scrollTop = 0;
    this.#tell();
    this.#draw();
  }

  #tell() {
    const { quotes, sessionDate, loaded } = this.store;
    const rising = [...quotes.values()].filter((quote) => Number(quote.change) > 0).length;
    const falling = [...quotes.values()].filter((quote) => Number(quote.change) < 0).length;
    const shown = this.#order.length === quotes.size ? format.count(quotes.size) : `${format.count(this.#order.length)} of ${format.count(quotes.size)}`;
    const parts = [sessionDate && format.dateOf(sessionDate), `${shown} ${quotes.size === 1 ? "symbol" : "symbols"}`, rising + falling > 0 && `${format.count(rising)} up, ${format.count(falling)} down`];
    setText(this.about, quotes.size ? parts.filter(Boolean).join(" · ") : "");
    this.board.hidden = quotes.size === 0;
    this.search.hidden = quotes.size === 0;
    this.empty.hidden = quotes.size > 0;
    if (quotes.size) return;
    const [title, text] = loaded
      ? ["No trades yet", "Nothing has traded in a session that the pipeline knows. Prices appear here by themselves when the first trades arrive; Pipeline shows what it does meanwhile."]
      : this.store.state === "lost"
        ? ["No connection", "The server does not answer. The page goes on trying, and fills by itself."]
        : ["Connecting", "Asking for the latest prices."];
    if (this.empty.dataset.title !== title) {
      this.empty.dataset.title = title;
      this.empty.replaceChildren(h("img", { src: "/static/icon.svg", alt: "" }), h("h2", {}, title), h("p", {}, text));
    }
  }

  #showAlerts() {
    this.alerts.show(this.store.alerts);
    for (const row of this.#rows.values()) this.#mark(row);
  }

  /** Mark a row whose symbol was alerted in this session; all its alerts are said to who points at it or hears it. */
  #mark(row) {
    const alerts = this.store.alertsOf(this.store.quotes.get(row.key)).filter(({ stands }) => stands);
    row.mark.hidden = alerts.length === 0;
    row.mark.title = alerts.map(({ rule, what }) => `${rule}: ${what}`).join("\n");
    setText(row.marked, alerts.length ? format.counted(alerts.length, "alert") : "");
  }

  #changed({ changed, isNew }) {
    for (const quote of changed) {
      const row = this.#rows.get(keyOf(quote));
      if (row) this.#fill(row, quote, true);
    }
    this.element.dataset.updates = this.store.updates;
    if (isNew || this.#sort.column.name !== "symbol") this.sortSoon();
    else this.#tellSoon();
  }

  #tellSoon = atMostEvery(SORT_MILLISECONDS, () => this.#tell());

  // Rows keep their element while they are in sight: nothing flickers, and the focus stays.
  #draw() {
    if (this.board.hidden) return;
    const top = this.board.scrollTop;
    const first = Math.max(0, Math.floor(top / this.#rowHeight) - ROWS_BEYOND);
    const last = Math.min(this.#order.length, Math.ceil((top + this.board.clientHeight) / this.#rowHeight) + ROWS_BEYOND);
    const wanted = new Set(this.#order.slice(first, last));
    const free = [];
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      this.#rows.delete(key);
      free.push(row);
    }
    for (let place = first; place < last; place += 1) {
      const key = this.#order[place];
      let row = this.#rows.get(key);
      if (!row) {
        row = free.pop() ?? this.#newRow();
        row.key = key;
        row.spark.replaceChildren();
        row.shownSpark = null;
        this.#rows.set(key, row);
        if (!row.element.isConnected) this.body.append(row.element);
      }
      this.#fill(row, this.store.quotes.get(key), false);
      this.#mark(row);
      this.#drawSpark(row);
      if (row.place !== place) {
        row.place = place;
        row.element.style.transform = `translateY(calc(var(--row) * ${place}))`;
        row.element.setAttribute("aria-rowindex", place + 2);
      }
    }
    for (const row of free) row.element.remove();
    this.grid.setAttribute("aria-rowcount", this.#order.length + 1);
    this.body.style.height = `calc(var(--row) * ${this.#order.length})`;
    const [some] = this.#rows.values();
    if (some) this.#rowHeight = some.element.getBoundingClientRect().height || this.#rowHeight;
    this.element.dataset.drawn = this.#rows.size;
    this.sparkSoon();
  }

  #newRow() {
    const link = h("a", { href: "#/" });
    const badge = h("span", { class: "badge" });
    const marked = h("span", { class: "unseen" });
    const mark = h("span", { class: "mark", hidden: true }, marked);
    const spark = h("div", { class: "cell spark", role: "cell" });
    const cells = new Map(NUMBERS.map((column) => [column, h("div", { class: `cell ${column.name} ${column.from ?? ""}`, role: "cell" })]));
    const element = h("div", { class: "row", role: "row" },
      h("div", { class: "cell symbol", role: "cell" }, link, badge, mark), spark, [...cells.values()]);
    return { element, link, badge, mark, marked, spark, cells, price: null, key: null, place: null };
  }

  #fill(row, quote, isNews) {
    if (row.shown === quote && !isNews) {
      setText(row.cells.get(COLUMNS.at(-1)), format.age(quote.eventTime));
      return;
    }
    const isSame = row.filled === row.key;
    const before = row.price;
    row.shown = quote;
    row.filled = row.key;
    row.price = Number(quote.price);
    setText(row.link, quote.symbol);
    row.link.setAttribute("href", `#/symbol/${encodeURIComponent(quote.symbol)}/${encodeURIComponent(quote.feed)}`);
    setText(row.badge, quote.feed);
    for (const [column, cell] of row.cells) {
      setText(cell, column.text(quote));
      if (column.signed) cell.className = `cell ${column.name} ${column.from ?? ""} ${format.direction(quote.change)}`;
    }
    const cell = row.cells.get(COLUMNS[2]);
    cell.classList.remove("rose", "fell");
    if (isNews && isSame && before !== row.price) {
      void cell.offsetWidth; // begins the animation anew
      cell.classList.add(row.price > before ? "rose" : "fell");
    }
  }

  #drawSpark(row) {
    const closes = this.#sparks.get(row.key)?.closes;
    if (!closes || row.shownSpark === closes) return;
    row.shownSpark = closes;
    row.spark.replaceChildren(sparkline(closes));
  }

  async #loadSparks() {
    const now = performance.now();
    const old = [...this.#rows.keys()].filter((key) => now - (this.#sparks.get(key)?.at ?? -Infinity) > SPARK_MILLISECONDS);
    if (!old.length || this.store.state !== "live") return;
    for (const key of old) this.#sparks.set(key, { ...this.#sparks.get(key), at: now });
    const symbols = [...new Set(old.map((key) => this.store.quotes.get(key).symbol))];
    const answer = await getIfThere("/sparklines", { symbols: symbols.join(","), count: SPARK_MINUTES }).catch(() => null);
    for (const line of answer?.sparklines ?? []) this.#sparks.set(keyOf(line), { at: now, closes: line.closes });
    for (const row of this.#rows.values()) this.#drawSpark(row);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = [...this.#rows.values()].find(({ link }) => link === document.activeElement);
    if (!step || !row) return;
    event.preventDefault();
    const place = Math.min(Math.max(row.place + step, 0), this.#order.length - 1);
    const head = this.heads.get(COLUMNS[0]).offsetHeight;
    const top = place * this.#rowHeight;
    if (top < this.board.scrollTop) this.board.scrollTop = top;
    const below = top + this.#rowHeight * 2 + head - this.board.scrollTop - this.board.clientHeight;
    if (below > 0) this.board.scrollTop += below;
    this.#draw();
    this.#rows.get(this.#order[place])?.link.focus({ preventScroll: true });
  }
}
