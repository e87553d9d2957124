"""`hessian`: second derivatives, eigenvalues, and the kind of a stationary point."""

EXAMPLES = (
    ("gradcli hessian 'x**2 - y**2' x=0 y=0", "a saddle"),
    ("gradcli hessian '(1-x)**2 + 100*(y-x**2)**2' x=1 y=1", "Rosenbrock's minimum"),
    ("gradcli hessian 'x.pow(4).sum()' x=1,2 --get eigenvalues", "the eigenvalues alone"),
)
PATHS = "kind or hessian.x.y"
