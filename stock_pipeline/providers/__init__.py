"""Sources of trades: each provider yields `domain.trade.Trade` values, or payloads with a reason.

What happens to them next belongs to `streaming`.
"""
