// The page: which view is shown, whether it is live, and its colours.

import { setText } from "/static/dom.js";
import * as format from "/static/format.js";
import { MarketView } from "/static/market.js";
import { PipelineView } from "/static/pipeline.js";
import { Store } from "/static/store.js";
import { SymbolView } from "/static/symbol.js";

const store = new Store();
const main = document.getElementById("main");
let view = null;

/** #/ is the market, #/symbol/AAPL/sip a symbol in its feed, #/pipeline the pipeline. */
function viewOf(hash) {
  const [name = "", symbol, feed] = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  if (name === "symbol" && symbol) return new SymbolView(store, symbol, feed || null);
  if (name === "pipeline") return new PipelineView(store);
  return new MarketView(store);
}

function show(isFirst) {
  view?.close();
  view = viewOf(location.hash);
  document.title = `${view.title} · stock_pipeline`;
  main.replaceChildren(view.element);
  main.dataset.view = view.name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.shown?.();
  if (!isFirst) main.focus({ preventScroll: true });
}

function showState() {
  const live = document.getElementById("live");
  live.dataset.state = store.state;
  const texts = { connecting: "Connecting", live: "Live", lost: lostText() };
  setText(document.getElementById("live-text"), texts[store.state]);
  showLag();
}

function lostText() {
  return store.lastHeard ? `Offline since ${format.timeOf(store.lastHeard)}` : "Offline, trying again";
}

function showLag() {
  const behind = store.state === "live" ? store.health?.behindP99 : null;
  setText(document.getElementById("live-lag"), behind === null || behind === undefined ? "" : `${format.span(behind)} behind`);
}

const THEMES = { system: "as the system has them", light: "light", dark: "dark" };

function showTheme(theme) {
  const button = document.getElementById("theme");
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const name of ["aria-label", "title"]) button.setAttribute(name, `Colours: ${THEMES[theme]}`);
  button.dataset.theme = theme;
  dispatchEvent(new Event("themechange"));
}

document.getElementById("theme").addEventListener("click", (event) => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(event.currentTarget.dataset.theme) + 1) % names.length];
  localStorage.setItem("theme", next);
  showTheme(next);
});
showTheme(localStorage.getItem("theme") in THEMES ? localStorage.getItem("theme") : "system");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => show(false));
addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select") && view.search) {
    event.preventDefault();
    view.search.focus();
  }
});
store.addEventListener("state", showState);
store.addEventListener("health", showLag);
show(true);
store.start();
