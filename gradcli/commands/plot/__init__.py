"""`plot`: functions over a range, or an expression over two ranges."""

EXAMPLES = (
    ("gradcli plot sigmoid tanh relu", "catalogue functions over [-6, 6]"),
    ("gradcli plot 'sin(w*x)' x=-5,5 w=2", "any formula over any range"),
    ("gradcli plot 'x**2 - y**2' x=-2,2 y=-2,2", "two ranges: contour and gradient"),
)
PATHS = "curves.0.derivative.2"
HELP = {
    "precision": "significant digits of the numbers below the picture, and in tables",
    "full": "show full tables: of --check, --expect, --markdown, --latex and --html",
}
