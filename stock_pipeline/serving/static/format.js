// Numbers and times in words. Prices come as exact decimals in strings and are shown digit by digit, never through a
// binary fraction.

const NEW_YORK = "America/New_York";
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: NEW_YORK, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayAndMinute = new Intl.DateTimeFormat("en-GB", { timeZone: NEW_YORK, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const month = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "short", year: "numeric" });
const whole = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" });
const wall = { timeZone: "UTC", day: "numeric", month: "short" };
const wallDay = new Intl.DateTimeFormat("en-GB", wall);
const wallMinute = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
const wallDayAndMinute = new Intl.DateTimeFormat("en-GB", { ...wall, hour: "2-digit", minute: "2-digit" });
const counts = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 4 });

export const NOTHING = "–";

/** A price: two decimals at least, four at most, rounded on its digits; thousands set apart. */
export function price(text) {
  if (text === null || text === undefined) return NOTHING;
  const [, sign, units, fraction = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (units === undefined) return String(text);
  let digits = units + fraction.slice(0, 4).padEnd(4, "0");
  if (Number(fraction[4] ?? 0) >= 5) digits = String(BigInt(digits) + 1n).padStart(digits.length, "0");
  const decimals = digits.slice(-4).replace(/0{1,2}$/, "");
  return `${sign && "−"}${counts.format(BigInt(digits.slice(0, -4)))}.${decimals}`;
}

/** A mean: two decimals, of a dollar or more. */
export const mean = (text) => (Math.abs(Number(text ?? 0)) < 1 ? price(text) : price(Number(text).toFixed(2)));

/** A difference, with its sign. */
export function signed(text, unit = "") {
  if (text === null || text === undefined) return NOTHING;
  const number = Number(text);
  return `${number > 0 ? "+" : ""}${unit === "%" ? number.toFixed(2).replace("-", "−") : price(text)}${unit}`;
}

export const counted = (number, thing) => `${counts.format(number)} ${thing}${number === 1 ? "" : "s"}`;
export const direction = (text) => (Number(text ?? 0) > 0 ? "up" : Number(text ?? 0) < 0 ? "down" : "");
export const count = (number) => (number === null || number === undefined ? NOTHING : counts.format(number));
export const compact = (text) =>
  text === null || text === undefined ? NOTHING : Number(text) < 100_000 ? counts.format(Number(text)) : short.format(Number(text));

/** Shares, in full: a part of a share keeps its digits. */
export function shares(text) {
  if (text === null || text === undefined) return NOTHING;
  const [units, fraction = ""] = String(text).split(".");
  const rest = fraction.replace(/0+$/, "");
  return counts.format(BigInt(units)) + (rest && `.${rest}`);
}

export const timeOf = (iso) => clock.format(new Date(iso));
/** Of seconds on the chart's axis, which are New York's already. */
export const axisMinute = (seconds) => wallMinute.format(seconds * 1000);
export const axisDay = (seconds) => wallDay.format(seconds * 1000);
export const axisDayAndMinute = (seconds) => wallDayAndMinute.format(seconds * 1000);
export const dayAndMinuteOf = (iso) => dayAndMinute.format(new Date(iso));
export const monthOf = (iso) => month.format(new Date(iso));
const days = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });
export const shortDateOf = (isoDate) => days.format(new Date(`${isoDate}T00:00:00Z`));
export const dateOf = (isoDate) => whole.format(new Date(`${isoDate}T00:00:00Z`));

/** How long ago, coarse: "4 s", "3 min", "2 h", "5 d". */
export function age(iso, now = Date.now()) {
  return span((now - Date.parse(iso)) / 1000);
}

export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return NOTHING;
  const past = Math.max(0, seconds);
  if (past < 10) return `${past.toFixed(1)} s`;
  if (past < 100) return `${Math.round(past)} s`;
  if (past < 6000) return `${Math.round(past / 60)} min`;
  if (past < 172_800) return `${Math.round(past / 3600)} h`;
  return `${counts.format(Math.round(past / 86_400))} d`;
}

export function bytes(number) {
  return number < 1e6 ? `${(number / 1e3).toFixed(1)} kB` : `${(number / 1e6).toFixed(1)} MB`;
}

export const PARTS = { overnight: "overnight", pre: "pre-market", regular: "regular hours", post: "after hours" };
