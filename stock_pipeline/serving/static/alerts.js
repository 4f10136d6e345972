// Price alerts: a list of what was told, newest first, and the rules that are watched.

import { h, setText } from "/static/dom.js";
import * as format from "/static/format.js";

const symbolAddress = ({ symbol, feed }) => `#/symbol/${encodeURIComponent(symbol)}/${encodeURIComponent(feed)}`;

/** A told alert as a line. What a correction took away stays, and says so. */
function line(alert, hasSymbol) {
  return h("li", { class: alert.stands ? null : "withdrawn" },
    h("time", { datetime: alert.eventTime }, `${format.timeOf(alert.eventTime).slice(0, 5)} ET`),
    hasSymbol && h("a", { href: symbolAddress(alert) }, alert.symbol),
    h("span", { class: "what" }, alert.what),
    h("span", { class: "badge" }, alert.rule),
    !alert.stands && h("span", { class: "badge warn" }, "taken back by a correction"));
}

export function alertLines(alerts, hasSymbol) {
  return alerts.length
    ? h("ol", { class: "told" }, alerts.map((alert) => line(alert, hasSymbol)))
    : h("p", { class: "small" }, "No alert in this session yet.");
}

function ruleLine({ name, symbols, feed, says, state, why }) {
  const kind = { watching: why ? "warn" : "good", waiting: "warn" }[state] ?? "";
  return h("li", {}, h("span", { class: "badge" }, name), h("span", { class: "what" }, `${symbols.join(", ")}${feed ? ` (${feed})` : ""} ${says}`),
    h("span", { class: `badge ${kind}` }, state), why && h("span", { class: "small" }, why));
}

/** The panel of the market: closed it is one line, which says the newest alert to everybody, also to a screen reader. */
export class AlertsPanel {
  #shown = "";

  constructor() {
    this.count = h("span", { class: "badge" });
    this.newest = h("span", { class: "newest", "aria-live": "polite" });
    this.told = h("div");
    this.rules = h("ul", { class: "told" });
    this.trouble = h("span", { class: "badge warn", hidden: true });
    this.element = h("details", { class: "alerts card", hidden: true },
      h("summary", {}, h("strong", {}, "Alerts"), " ", this.count, " ", this.newest, " ", this.trouble),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Alerts, scrolls" },
        this.told, h("h2", {}, "Rules"), this.rules));
  }

  show(board) {
    const { rules, alerts } = board ?? { rules: [], alerts: [] };
    this.element.hidden = rules.length === 0;
    const text = JSON.stringify(board);
    if (text === this.#shown) return;
    this.#shown = text;
    setText(this.count, format.count(alerts.length));
    this.count.className = `badge ${alerts.length ? "warn" : ""}`;
    const [first] = alerts;
    setText(this.newest, first ? `${first.symbol} ${first.what} · ${format.timeOf(first.eventTime).slice(0, 5)} ET` : "none in this session yet");
    const idle = rules.filter(({ why }) => why).length;
    this.trouble.hidden = idle === 0;
    setText(this.trouble, `${format.counted(idle, "rule")} to look at`);
    this.told.replaceChildren(alertLines(alerts, true));
    this.rules.replaceChildren(...rules.map(ruleLine));
  }
}
