"""How numbers are written."""

MISSING = "–"


def percent(value: float | None) -> str:
    """A fraction as ``78.3 %``."""
    return MISSING if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def percent_range(low: float, high: float) -> str:
    """Two fractions as ``66.0–87.2 %``."""
    return f"{100 * low:.1f}–{100 * high:.1f}\N{NO-BREAK SPACE}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with a fixed count of digits and a true minus sign."""
    if value is None:
        return MISSING
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "\N{MINUS SIGN}")


def decimal_range(low: float | None, high: float | None, digits: int = 3) -> str:
    """Two numbers as ``0.081 to 0.144``."""
    if low is None or high is None:
        return MISSING
    return f"{decimal(low, digits)} to {decimal(high, digits)}"


def tenths(value: float | None) -> str:
    """A number with one digit after the point."""
    return decimal(value, 1)


def probability(value: float | None) -> str:
    """A p value with four digits after the point, never as zero."""
    return "< 0.0001" if value is not None and value < 1e-4 else decimal(value, 4)


def whole(value: float | None) -> str:
    """An integer with its thousands apart."""
    return MISSING if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def listed(names) -> str:
    """Names as ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def counted(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{whole(n)} {one if n == 1 else many or one + 's'}"


def plain(value) -> str:
    """Any JSON value on one line."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(plain(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(v)}" for name, v in value.items())
    return str(value)
