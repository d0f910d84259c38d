"""Channel counts of narrower and wider networks: the rule of src/models/spec.ts."""
import math


def channel_scale(width):
    """From official channel counts to those at this width: multiples of 8, at least 8, never more
    than a tenth below the exact product. A width of 1 leaves every official count as it is."""

    def scale(channels):
        if width == 1:
            return int(channels)
        wanted = channels * width
        rounded = max(8, math.floor((wanted + 4) / 8) * 8)
        return rounded + 8 if rounded < 0.9 * wanted else rounded

    return scale
