"""What a network costs: parameters, multiply-accumulates, time."""

from foveate.accounting.count import Cost, count, register_flop_formulas

__all__ = ["Cost", "count", "register_flop_formulas"]
