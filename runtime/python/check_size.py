def check_size(name: str, size: int, low: int, high: int | None) -> None:
    """Raise ValueError unless low <= size <= high (None: no upper bound)."""
    if size < low or (high is not None and size > high):
        bound = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} is {size}, it must be {bound}")
