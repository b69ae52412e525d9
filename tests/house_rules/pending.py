"""Temporary: rules that a room does not keep yet. A room leaves when it keeps them all."""

PENDING: dict[str, frozenset[str]] = {
    "bench": frozenset({"columns", "functions", "phrases"}),
    "brokers": frozenset({"columns"}),
    "central": frozenset(
        {
            "any",
            "columns",
            "functions",
            "limits",
            "mirror",
            "module",
            "names",
            "parameters",
            "phrases",
            "tuples",
            "walls",
        }
    ),
    "crash": frozenset({"columns", "phrases"}),
    "demo": frozenset({"columns", "functions", "phrases"}),
    "docs": frozenset({"columns", "phrases"}),
    "fuzz": frozenset({"columns"}),
    "parts": frozenset({"columns", "parameters", "phrases"}),
    "readers": frozenset(
        {
            "any",
            "columns",
            "functions",
            "limits",
            "mirror",
            "module",
            "names",
            "parameters",
            "phrases",
        }
    ),
    "simulation": frozenset({"columns", "module", "phrases"}),
    "store": frozenset(
        {
            "any",
            "columns",
            "functions",
            "limits",
            "mirror",
            "module",
            "names",
            "parameters",
            "phrases",
            "tuples",
        }
    ),
    "sync": frozenset(
        {
            "any",
            "columns",
            "functions",
            "limits",
            "mirror",
            "names",
            "parameters",
            "phrases",
            "tuples",
        }
    ),
    "system": frozenset({"columns", "functions", "phrases"}),
    "terminal": frozenset(
        {
            "any",
            "columns",
            "functions",
            "limits",
            "mirror",
            "module",
            "names",
            "parameters",
            "phrases",
        }
    ),
    "tests": frozenset({"columns", "module", "phrases"}),
}
