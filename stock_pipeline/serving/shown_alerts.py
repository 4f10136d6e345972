"""Price alerts and their rules in the shapes of the API."""

from collections.abc import Iterable

from stock_pipeline.domain.price_alert import Rule
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.told_alerts import ToldAlert
from stock_pipeline.serving import shapes
from stock_pipeline.serving.board import iso_ns
from stock_pipeline.serving.price_alerts import PriceAlerts


def shown_alerts(alerts: PriceAlerts, known: Iterable[SymbolKey]) -> shapes.PriceAlerts:
    """Return all rules, and what was told. known: symbols that have a price."""
    keys = list(known)
    told = sorted(alerts.told.alerts, key=lambda alert: (alert.at_ns, alert.series), reverse=True)
    return shapes.PriceAlerts(
        alerts.session_date,
        [_rule(alerts, rule, keys) for rule in alerts.rules],
        [shown_alert(alert, alerts.stands(alert)) for alert in told],
    )


def shown_alert(alert: ToldAlert, stands: bool) -> shapes.PriceAlert:
    series, at = alert.series, iso_ns(alert.at_ns)
    return shapes.PriceAlert(series.rule, series.says, *series.key, at, alert.what, alert.found_at, stands)


def _rule(alerts: PriceAlerts, rule: Rule, keys: list[SymbolKey]) -> shapes.AlertRule:
    state, why = _state(alerts, rule, keys)
    return shapes.AlertRule(rule.name, list(rule.symbols), rule.feed, rule.says, state, why)


def _state(alerts: PriceAlerts, rule: Rule, keys: list[SymbolKey]) -> tuple[str, str]:
    session_date = alerts.session_date
    if session_date is None:
        return "waiting", "no session is followed yet"
    if rule.first is not None and session_date < rule.first:
        return "waiting", f"begins on {rule.first}"
    if rule.last is not None and session_date > rule.last:
        return "over", f"ended on {rule.last}"
    traded = {key.symbol for key in keys if rule.feed in (None, key.feed)}
    missing = [symbol for symbol in rule.symbols if symbol not in traded]
    if not missing:
        return "watching", ""
    feed = f" in the feed {rule.feed}" if rule.feed else ""
    why = f"nothing is known of {', '.join(missing)}{feed}: is it spelt so, and is it followed?"
    return ("watching" if len(missing) < len(rule.symbols) else "waiting"), why
