"""One form for all messages about settings out of bounds."""

from __future__ import annotations


def check_value(valid: bool, name: str, value: object, expected: str | tuple[str, ...]) -> None:
    """Refuse the value of a setting.

    Parameters
    ----------
    valid
        Whether the value is fine.
    name, value
        Name and value of the setting.
    expected
        Description of valid values, or the valid names.

    Raises
    ------
    ValueError
        If the value is not valid.
    """
    if not valid:
        must_be = expected if isinstance(expected, str) else " or ".join(expected)
        raise ValueError(f"{name} is {value!r}; it must be {must_be}.")
