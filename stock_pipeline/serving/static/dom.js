// Elements without markup in strings: text from outside can't become markup.

/** Make an element. Properties that begin with "on" are listeners; null and false children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set a text only if it is another one, so that nothing is drawn anew for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Return a function that runs at most once in so many milliseconds, the last call included. */
export function atMostEvery(milliseconds, run) {
  let timer = null;
  let last = -Infinity;
  const call = () => {
    timer = null;
    last = performance.now();
    run();
  };
  const asked = () => {
    timer ??= setTimeout(call, Math.max(0, last + milliseconds - performance.now()));
  };
  asked.stop = () => clearTimeout(timer);
  return asked;
}

const SVG = "http://www.w3.org/2000/svg";

/** Return a line of prices, green or red by first and last. */
export function sparkline(closes) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const prices = closes.map(Number);
  if (prices.length < 2) return svg;
  const low = Math.min(...prices);
  const span = Math.max(...prices) - low || 1;
  const line = document.createElementNS(SVG, "polyline");
  const points = prices.map((price, place) =>
    `${((place * 100) / (prices.length - 1)).toFixed(1)},${(22 - ((price - low) * 20) / span).toFixed(1)}`);
  line.setAttribute("points", points.join(" "));
  svg.setAttribute("class", prices.at(-1) >= prices[0] ? "up" : "down");
  svg.append(line);
  return svg;
}
