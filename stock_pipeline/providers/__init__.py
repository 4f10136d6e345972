"""Where trades come from. Each provider turns its source's answers into `domain.trade.Trade` values, or into
payloads with a reason where that can't be done. What happens to them next is `streaming`'s business.
"""
