"""The meaning in PyTorch of the names of NumPy, of Python's math and of arrays' methods.

A row, one for each way to call a name, is `names (parameters): meaning`. The parameters are NumPy's
or Python's own, in their order, with their defaults; one with the default `...` is left out of the
meaning if it is not given. The meaning is an expression of the parameters, and `{}` in it is the
name itself, or what follows it: `fabs=abs`. The first row of a name that takes the arguments of a
call applies. A call that no row takes is refused, so a name always means the same as in NumPy or
Python.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

ROWS = """
[np]
abs absolute arccos arccosh arcsin arcsinh arctan arctanh acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh
    exp exp2 expm1 log log10 log1p log2 sqrt square reciprocal negative positive floor ceil trunc fix deg2rad rad2deg
    isfinite isinf isnan isneginf isposinf isreal signbit logical_not bitwise_not conj sinc i0 frexp
    sign fabs=abs rint=round radians=deg2rad degrees=rad2deg invert=bitwise_not conjugate=conj
    (x): torch.{}(x)
real imag(val): torch.{}(val)
angle(z): torch.angle(z)
cbrt(x): torch.copysign(torch.abs(x)**(1/3), x)
round around(a, decimals=...): torch.round(a, decimals=decimals)
nan_to_num(x, *, nan=..., posinf=..., neginf=...): torch.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)
clip(a, a_min, a_max): torch.clip(a, a_min, a_max)
clip(a, *, min=..., max=...): torch.clip(a, min=min, max=max)
add subtract multiply divide true_divide float_power maximum minimum fmax fmin arctan2 atan2 hypot copysign
    ldexp heaviside logaddexp logaddexp2 nextafter gcd lcm greater greater_equal less less_equal not_equal fmod
    floor_divide remainder logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_left_shift
    bitwise_right_shift mod=remainder power=pow pow equal=eq left_shift=bitwise_left_shift
    right_shift=bitwise_right_shift matmul vecdot=linalg.vecdot
    (x1, x2): torch.{}(x1, x2)
isclose allclose(a, b, rtol=..., atol=..., equal_nan=...): torch.{}(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
array_equal(a1, a2): torch.equal(a1, a2)
isin(element, test_elements): torch.isin(element, test_elements)

sum nansum mean nanmean any all(a): torch.{}(a)
sum nansum mean nanmean any all(a, axis=None, *, keepdims=...): torch.{}(a, dim=axis, keepdim=keepdims)
prod(a): torch.prod(a)
prod(a, axis, *, keepdims=...): torch.prod(a, dim=axis, keepdim=keepdims)
amax max=amax amin min=amin(a): torch.{}(a)
amax max=amax amin min=amin(a, axis=(), *, keepdims=...): torch.{}(a, dim=axis, keepdim=keepdims)
ptp(a, axis=(), *, keepdims=...): torch.amax(a, dim=axis, keepdim=keepdims) - torch.amin(a, dim=axis, keepdim=keepdims)
argmax argmin(a, axis=..., *, keepdims=...): torch.{}(a, dim=axis, keepdim=keepdims)
std var(a, axis=..., *, ddof=0, keepdims=...): torch.{}(a, dim=axis, correction=ddof, keepdim=keepdims)
median=quantile nanmedian=nanquantile(a, axis=..., *, keepdims=...): torch.{}(a, 0.5, dim=axis, keepdim=keepdims)
quantile nanquantile(a, q, axis=..., *, method=..., keepdims=...):
    torch.{}(a, q, dim=axis, interpolation=method, keepdim=keepdims)
percentile(a, q, axis=..., *, method=..., keepdims=...):
    torch.quantile(a, q/100, dim=axis, interpolation=method, keepdim=keepdims)
average(a, axis=..., *, keepdims=...): np.mean(a, axis=axis, keepdims=keepdims)
average(a, axis=None, *, weights):
    torch.sum(a*weights, dim=axis)/torch.sum(weights, dim=axis) if a.ndim == weights.ndim else
    torch.tensordot(a, weights, ([axis], [0]))/torch.sum(weights)
count_nonzero(a, axis=...): torch.count_nonzero(a, dim=axis)
cumsum cumprod(a): torch.{}(torch.ravel(a), 0)
cumsum cumprod(a, axis): torch.{}(a, axis)
cov(m, *, ddof=..., fweights=..., aweights=...): torch.cov(m, correction=ddof, fweights=fweights, aweights=aweights)
corrcoef(x): torch.corrcoef(x)
diff(a, n=..., axis=..., *, prepend=..., append=...): torch.diff(a, n=n, dim=axis, prepend=prepend, append=append)
gradient(f, *, edge_order=...):
    torch.gradient(f, edge_order=edge_order)[0] if f.ndim == 1 else torch.gradient(f, edge_order=edge_order)
gradient(f, *, axis, edge_order=...): torch.gradient(f, dim=axis, edge_order=edge_order)[0]
trapezoid trapz(y, x=..., *, axis=...): torch.trapezoid(y, x, dim=axis)
trapezoid trapz(y, *, dx, axis=...): torch.trapezoid(y, dx=dx, dim=axis)
bincount(x, weights=..., minlength=...): torch.bincount(x, weights=weights, minlength=minlength)
histogram(a, bins=10): torch.histogram(a, bins=bins)
searchsorted(a, v, side=...): torch.searchsorted(a, v, side=side)
sort(a, axis=-1): torch.sort(a, dim=axis).values
argsort(a, axis=...): torch.argsort(a, dim=axis)
unique(ar): torch.unique(ar)

dot(a, b):
    torch.dot(a, b) if a.ndim == 1 and b.ndim == 1 else
    a*b if a.ndim*b.ndim == 0 else
    torch.matmul(a, b) if b.ndim < 3 else
    torch.tensordot(a, b, ([-1], [-2]))
inner kron(a, b): torch.{}(a, b)
vdot(a, b): torch.vdot(torch.ravel(a), torch.ravel(b))
outer(a, b): torch.outer(torch.ravel(a), torch.ravel(b))
cross(a, b, *, axis=...): torch.linalg.cross(a, b, dim=axis)
tensordot(a, b, axes=...): torch.tensordot(a, b, dims=axes)
einsum(subscripts, *operands): torch.einsum(subscripts, *operands)
convolve(a, v):
    torch.nn.functional.conv1d(a[None, None], torch.flip(v, (0,))[None, None], padding=v.shape[0] - 1)[0, 0]

reshape(a, shape): a.reshape(shape)
ravel(a): torch.ravel(a)
squeeze(a, axis=...): torch.squeeze(a, dim=axis)
expand_dims(a, axis): torch.unsqueeze(a, axis)
transpose(a): a.T if a.ndim < 3 else torch.permute(a, (7, 6, 5, 4, 3, 2, 1, 0)[8 - a.ndim:])
transpose permute_dims(a, axes): torch.permute(a, axes)
matrix_transpose(x): x.mT
swapaxes(a, axis1, axis2): torch.swapaxes(a, axis1, axis2)
moveaxis(a, source, destination): torch.moveaxis(a, source, destination)
flip(m):
    torch.flip(m, (0,)) if m.ndim == 1 else torch.flip(m, (0, 1)) if m.ndim == 2 else
    torch.flip(m, (0, 1, 2, 3, 4, 5, 6, 7)[:m.ndim])
flip(m, axis): m.flip(axis)
fliplr flipud(m): torch.{}(m)
rot90(m, k=..., axes=...): torch.rot90(m, k=k, dims=axes)
roll(a, shift, axis=...): torch.roll(a, shift, dims=axis)
concatenate concat(arrays, axis=...): torch.cat(arrays, dim=axis)
stack(arrays, axis=...): torch.stack(arrays, dim=axis)
hstack vstack dstack column_stack row_stack=vstack(tup): torch.{}(tup)
split array_split(ary, indices_or_sections, axis=...): torch.tensor_split(ary, indices_or_sections, dim=axis)
hsplit vsplit dsplit(ary, indices_or_sections): torch.{}(ary, indices_or_sections)
tile(A, reps): A.tile(reps)
repeat(a, repeats, axis=...): torch.repeat_interleave(a, repeats, dim=axis)
pad(array, pad_width, mode=..., *, constant_values=...):
    torch.nn.functional.pad(array, pad_width, mode=mode, value=constant_values)
take(a, indices): torch.take(a, indices)
take(a, indices, axis):
    torch.select(a, axis, indices) if indices.ndim == 0 else torch.index_select(a, axis, indices)
take_along_axis(arr, indices, axis=-1): torch.take_along_dim(arr, indices, dim=axis)
diag(v, k=...): torch.diag(v, diagonal=k)
diagflat(v, k=...): torch.diagflat(v, offset=k)
diagonal(a, offset=..., axis1=..., axis2=...): torch.diagonal(a, offset=offset, dim1=axis1, dim2=axis2)
tril triu(m, k=...): torch.{}(m, diagonal=k)
tril_indices triu_indices(n, k=0): torch.{}(n, n, k).unbind()
vander(x, N=..., increasing=...): torch.vander(x, N=N, increasing=increasing)
where(condition): torch.where(condition)
where(condition, x, y): torch.where(condition, x, y)
nonzero(a): torch.nonzero(a, as_tuple=True)
flatnonzero(a): torch.nonzero(torch.ravel(a), as_tuple=True)[0]
unravel_index(indices, shape): torch.unravel_index(indices, shape)
argwhere trace atleast_1d atleast_2d atleast_3d(a): torch.{}(a)
broadcast_to(array, shape): torch.broadcast_to(array, shape)
broadcast_shapes(*args): torch.broadcast_shapes(*args)
meshgrid(*xi, indexing='xy'): torch.meshgrid(*xi, indexing=indexing)
shape ndim(a): a.{}
size(a): a.numel()

array(object): object
array(object, dtype): object.to(dtype)
asarray(a): a
asarray(a, dtype): a.to(dtype)
copy(a): torch.clone(a)
zeros ones(shape, dtype=...): torch.{}(shape, dtype=dtype)
zeros_like ones_like(a, dtype=...): torch.{}(a, dtype=dtype)
full(shape, fill_value, dtype=...): torch.full(shape, fill_value, dtype=dtype)
full_like(a, fill_value, dtype=...): torch.full_like(a, fill_value, dtype=dtype)
eye(N, M=...): torch.eye(N, M)
identity(n): torch.eye(n)
arange(start): torch.arange(start)
arange(start, stop, step=...): torch.arange(start, stop, step)
linspace(start, stop, num=50): torch.linspace(start, stop, num)
logspace(start, stop, num=50, *, base=...): torch.logspace(start, stop, num, base=base)

[np.linalg]
det inv eig eigh eigvals eigvalsh cholesky slogdet qr pinv(a): torch.linalg.{}(a)
svdvals(x): torch.linalg.svdvals(x)
matrix_rank(A): torch.linalg.matrix_rank(A)
cond(x, p=...): torch.linalg.cond(x, p)
norm(x, ord=..., axis=..., keepdims=...): torch.linalg.norm(x, ord=ord, dim=axis, keepdim=keepdims)
vector_norm(x, *, ord=..., axis=..., keepdims=...): torch.linalg.vector_norm(x, ord=ord, dim=axis, keepdim=keepdims)
matrix_norm(x, *, ord=..., keepdims=...): torch.linalg.matrix_norm(x, ord=ord, keepdim=keepdims)
svd(a, full_matrices=...): torch.linalg.svd(a, full_matrices=full_matrices)
solve(a, b): torch.linalg.solve(a, b)
matrix_power(a, n): torch.linalg.matrix_power(a, n)
multi_dot(arrays): torch.linalg.multi_dot(arrays)
tensorinv(a, ind=...): torch.linalg.tensorinv(a, ind=ind)
tensorsolve(a, b, axes=...): torch.linalg.tensorsolve(a, b, dims=axes)
matmul outer vecdot=linalg.vecdot(x1, x2): torch.{}(x1, x2)
cross(x1, x2, *, axis=...): torch.linalg.cross(x1, x2, dim=axis)
diagonal(x, *, offset=...): torch.linalg.diagonal(x, offset=offset)
trace(x): torch.trace(x)

[np.fft]
fft ifft rfft irfft hfft ihfft(a, n=..., axis=..., norm=...): torch.fft.{}(a, n=n, dim=axis, norm=norm)
fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn(a, s=..., axes=..., norm=...): torch.fft.{}(a, s=s, dim=axes, norm=norm)
fftshift ifftshift(x, axes=...): torch.fft.{}(x, dim=axes)
fftfreq rfftfreq(n, d=1.0): torch.fft.{}(n, d)

[math]
acos acosh asin asinh atan atanh ceil cos cosh erf erfc exp exp2 expm1 floor isfinite isinf isnan lgamma log10 log1p log2
    sin sinh sqrt tan tanh trunc fabs=abs degrees=rad2deg radians=deg2rad (x, /): torch.{}(x)
atan2 copysign fmod hypot nextafter pow(x, y, /): torch.{}(x, y)
ldexp(x, i, /): torch.ldexp(x, i)
cbrt(x, /): torch.copysign(torch.abs(x)**(1/3), x)
log(x, /): torch.log(x)
log(x, base, /): torch.log(x)/torch.log(base)
remainder(x, y, /): x - y*torch.round(x/y)
gamma(x, /): torch.exp(torch.lgamma(x))*(1 - 2*(torch.floor(torch.clamp(x, max=0)) % 2))
dist(p, q, /): torch.dist(p, q)
prod(iterable, /): torch.prod(iterable)
fsum(seq, /): torch.sum(seq)
gcd lcm(x, y, /): torch.{}(x, y)

[Tensor]
copy(self): self.clone()
astype type(self, dtype): self.to(dtype)
dot(self, other): self.dot(other) if self.ndim == 1 and other.ndim == 1 else np.dot(self, other)
transpose(self): np.transpose(self)
cumsum cumprod(self): np.{}(self)
round(self, decimals): torch.round(self, decimals=decimals)
std var(self, axis=..., *, ddof, keepdims=...): self.{}(dim=axis, correction=ddof, keepdim=keepdims)
"""


_ARRAYS = """a a1 a2 ar arr array ary aweights b condition element f fweights iterable m object p q seq test_elements v val
    weights x x1 x2 y z A"""
ARRAYS = frozenset(_ARRAYS.split())
"""Parameters that take anything that NumPy makes an array of, such as a list of numbers."""


@dataclass(frozen=True)
class Row:
    """A way to call a name: its parameters and its meaning, which are parsed and never run."""

    arguments: ast.arguments
    meaning: ast.expr

    @property
    def signature(self) -> str:
        """The parameters as a person writes them."""
        return ast.unparse(self.arguments)


@cache
def _lines() -> Mapping[str, Mapping[str, list[str]]]:
    """Each section's names, and the rows of each as `(parameters): meaning`."""
    sections: dict[str, dict[str, list[str]]] = {}
    for section in ROWS.split("\n[")[1:]:
        title, _, body = section.partition("]\n")
        names = sections.setdefault(title, {})
        for line in body.replace("\n    ", " ").splitlines():
            listed, bracket, rest = line.partition("(")
            for name in listed.split():
                name, _, other = name.partition("=")
                names.setdefault(name, []).append(bracket + rest.replace("{}", other or name))
    return sections


def names(section: str) -> Mapping[str, list[str]]:
    """The names in a section."""
    return _lines()[section]


@cache
def rows(section: str, name: str) -> tuple[Row, ...]:
    """The ways to call a name; none for a name that is not in the section."""
    ways = []
    for line in _lines()[section].get(name, ()):
        head, _, meaning = line.partition("): ")
        arguments = ast.parse(f"def f{head}): ...").body[0]
        assert isinstance(arguments, ast.FunctionDef)
        ways.append(Row(arguments.args, ast.parse(meaning.strip(), mode="eval").body))
    return tuple(ways)
