"""Public keys that must be refused wherever they stand: of small order, or a second encoding of a good one."""

from __future__ import annotations

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def encode_number(number: int, sign: int = 0) -> bytes:
    """Write a coordinate as 32 bytes, with the top bit."""
    return (number | sign << 255).to_bytes(32, "little")


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Add two points of edwards25519 (RFC 8032, section 5.1.4, in affine form)."""
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def _torsion_points() -> list[tuple[int, int]]:
    """Find all points of small order: multiples of one of order 8, found as L times an arbitrary point."""
    order = 2**252 + 27742317777372353535851937790883648493
    root_of_minus_one = pow(2, (P - 1) // 4, P)
    for y in range(2, 100):
        square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        if (x * x - square) % P:
            x = x * root_of_minus_one % P
        if (x * x - square) % P:
            continue
        point, result, factor = (x, y), (0, 1), order
        while factor:
            if factor & 1:
                result = _add(result, point)
            point, factor = _add(point, point), factor >> 1
        multiples = [(0, 1)]
        while len(multiples) < 8:
            multiples.append(_add(multiples[-1], result))
        if len(set(multiples)) == 8:
            return multiples
    raise AssertionError("no point of order 8 was found")


def _low_order_u() -> list[int]:
    """Map the points of small order to curve25519 (RFC 7748, section 4.1), beside the neutral one and the twist's."""
    mapped = {(1 + y) * pow(1 - y, -1, P) % P for _, y in _torsion_points() if y != 1}
    return sorted(mapped | {0, 1, P - 1})


LOW_ORDER_U = _low_order_u()


def _bad_x25519() -> list[bytes]:
    low_order = [encode_number(u) for u in LOW_ORDER_U]
    not_canonical = [encode_number(u) for u in (P, P + 1, P + 9, 2**255 - 1)] + [
        encode_number(9, 1),
        encode_number(0, 1),
    ]
    return low_order + not_canonical


def _bad_ed25519() -> list[bytes]:
    small_order = [encode_number(y, x & 1) for x, y in _torsion_points()]
    not_canonical = [
        encode_number(P),
        encode_number(P + 1),
        encode_number(P, 1),
        encode_number(2**255 - 1),
        encode_number(1, 1),
        encode_number(P - 1, 1),
    ]
    return small_order + not_canonical


BAD_X25519 = _bad_x25519()
BAD_ED25519 = _bad_ed25519()
