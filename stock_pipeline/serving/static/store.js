// The market as this page knows it: the board once, then each change as the stream brings it. One stream for all views.

import { get, getIfThere, streamAddress } from "/static/api.js";

const RETRY_MILLISECONDS = 2000;
const HEALTH_MILLISECONDS = 10_000;
const ANSWER_MILLISECONDS = 8000;

export const keyOf = (quote) => `${quote.symbol} ${quote.feed}`;

export class Store extends EventTarget {
  quotes = new Map();
  sessionDate = null;
  state = "connecting";
  loaded = false;
  lastHeard = null;
  health = null;
  alerts = null;
  updates = 0;
  #source = null;
  #waiting = null;
  #timer = null;

  start() {
    this.#open();
    this.#look();
    setInterval(() => this.#look(), HEALTH_MILLISECONDS);
    addEventListener("online", () => this.#again(0));
    addEventListener("offline", () => this.#lost());
  }

  #open() {
    this.#source?.close();
    const source = new EventSource(streamAddress);
    this.#source = source;
    source.addEventListener("open", () => this.#load());
    source.addEventListener("reset", () => this.#load());
    source.addEventListener("quotes", (event) => this.#arrived(event));
    source.addEventListener("alerts", () => this.#loadAlerts());
    source.addEventListener("error", () => {
      this.#lost();
      // a browser gives up for good at an answer such as 502 from between
      if (source.readyState === EventSource.CLOSED) this.#again(RETRY_MILLISECONDS);
    });
  }

  #again(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), milliseconds);
  }

  async #load() {
    // what comes meanwhile waits: the board may be older than it
    if (this.#waiting !== null) return;
    this.#waiting = [];
    try {
      const board = await get("/latest");
      this.quotes = new Map(board.quotes.map((quote) => [keyOf(quote), quote]));
      this.sessionDate = board.sessionDate;
      this.loaded = true;
      const waiting = this.#waiting;
      this.#waiting = null;
      this.#heard("live");
      this.dispatchEvent(new CustomEvent("board"));
      this.#loadAlerts();
      for (const event of waiting) if (Number(event.lastEventId) > board.event) this.#arrived(event);
    } catch {
      this.#waiting = null;
      this.#lost();
      this.#again(RETRY_MILLISECONDS);
    }
  }

  async #loadAlerts() {
    this.alerts = (await getIfThere("/alerts").catch(() => null)) ?? this.alerts;
    this.dispatchEvent(new CustomEvent("alerts"));
  }

  /** Alerts of a symbol, in its feed. */
  alertsOf({ symbol, feed }) {
    return (this.alerts?.alerts ?? []).filter((alert) => alert.symbol === symbol && (!feed || alert.feed === feed));
  }

  #arrived(event) {
    if (this.#waiting !== null) {
      this.#waiting.push(event);
      return;
    }
    const changed = JSON.parse(event.data).quotes;
    let isNew = false;
    for (const quote of changed) {
      const key = keyOf(quote);
      isNew ||= !this.quotes.has(key);
      this.quotes.set(key, quote);
    }
    this.updates += 1;
    this.#heard("live");
    this.dispatchEvent(new CustomEvent("quotes", { detail: { changed, isNew } }));
  }

  /** Whether what was followed is followed still: a connection can be dead without an error. */
  async #look() {
    try {
      // an answer that never comes is no answer
      this.health = await get("/health", {}, AbortSignal.timeout(ANSWER_MILLISECONDS));
      if (this.state === "lost" && this.#source?.readyState === EventSource.OPEN) this.#load();
      else if (this.state === "lost" && this.#source?.readyState === EventSource.CLOSED) this.#again(0);
      this.dispatchEvent(new CustomEvent("health"));
      // a correction takes one back without an event
      if (this.state === "live" && this.alerts?.rules.length) this.#loadAlerts();
    } catch {
      this.#lost();
    }
  }

  #heard(state) {
    this.lastHeard = Date.now();
    this.#is(state);
  }

  #lost() {
    this.#is("lost");
  }

  #is(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state"));
  }
}
