"""`jacobian`: the whole Jacobian of an expression."""

EXAMPLES = (
    ("gradcli jacobian 'W @ x' W='1,2;3,4' x=1,1 --wrt x", "rows are outputs, columns are inputs"),
    ("gradcli jacobian 'stack([r*cos(t), r*sin(t)])' r=2 t=pi/3", "polar coordinates"),
    ("gradcli jacobian 'sigmoid(x)' x=-1,0,1 --csv", "for a spreadsheet"),
)
PATHS = "jacobian.x.0"
