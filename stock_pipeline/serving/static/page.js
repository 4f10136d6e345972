// The market: the board once, then changes as they come.
const rows = new Map();
const body = document.getElementById("quotes");
const status = document.getElementById("status");
const COLUMNS = ["symbol", "feed", "price", "change", "high", "low", "volume", "vwap", "eventTime"];

function show(quotes) {
  for (const quote of quotes) {
    const key = `${quote.symbol} ${quote.feed}`;
    if (!rows.has(key)) {
      const row = document.createElement("tr");
      for (const _ of COLUMNS) row.append(document.createElement("td"));
      rows.set(key, row);
      body.append(row);
    }
    COLUMNS.forEach((name, place) => {
      const text = name === "eventTime" ? quote[name].slice(11, 23) : quote[name] ?? "";
      const cell = rows.get(key).children[place];
      if (cell.textContent !== text) cell.textContent = text;
    });
  }
}

async function load() {
  const answer = await fetch("/api/v1/latest");
  show((await answer.json()).quotes);
}

const stream = new EventSource("/api/v1/stream");
stream.addEventListener("open", () => { status.textContent = "live"; load(); });
stream.addEventListener("error", () => { status.textContent = "disconnected, trying again"; });
stream.addEventListener("reset", load);
stream.addEventListener("quotes", (event) => show(JSON.parse(event.data).quotes));
