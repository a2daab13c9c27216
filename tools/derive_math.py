"""Derives the polynomials of src/codegen/lower_math*.cpp: weighted minimax fits by Remez exchange,
then coefficients rounded one by one, highest first, each time refitting those that remain.

Needs mpmath (pip install mpmath). Run: python3 tools/derive_math.py
"""

import mpmath as mp

mp.mp.dps = 50
F32, F64 = 24, 53


def round_to(value, bits):
    if value == 0:
        return mp.mpf(0)
    exponent = mp.floor(mp.log(abs(value), 2)) + 1 - bits
    scale = mp.mpf(2) ** exponent
    return mp.nint(value / scale) * scale


def remez(target, weight, low, high, powers):
    """Coefficients c of sum c_i x^powers[i] that minimize max |weight (sum - target)|."""
    n = len(powers)
    points = [
        (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * i / n) for i in range(n, -1, -1)
    ]
    grid = [low + (high - low) * mp.mpf(i) / 1200 for i in range(1201)]
    targets = [target(x) for x in grid]
    weights = [weight(x) for x in grid]
    for _ in range(30):
        rows = mp.matrix(n + 1, n + 1)
        right = mp.matrix(n + 1, 1)
        for i, x in enumerate(points):
            for j, power in enumerate(powers):
                rows[i, j] = x**power
            rows[i, n] = (-1) ** i / weight(x)
            right[i] = target(x)
        solution = mp.lu_solve(rows, right)
        errors = [
            w * (sum(solution[j] * x**p for j, p in enumerate(powers)) - t)
            for x, t, w in zip(grid, targets, weights)
        ]
        # One extremum from each run of one sign.
        extrema, start = [], 0
        for i in range(1, len(grid) + 1):
            if i == len(grid) or errors[i] * errors[start] < 0:
                best = max(range(start, i), key=lambda k: abs(errors[k]))
                extrema.append(best)
                start = i
        while len(extrema) > n + 1:
            drop = 0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1
            extrema.pop(drop)
        if len(extrema) < n + 1:
            break
        new = [grid[i] for i in extrema]
        if max(abs(a - b) for a, b in zip(new, points)) < (high - low) / 1000:
            points = new
            break
        points = new
    worst = max(abs(e) for e in errors)
    return [solution[j] for j in range(n)], worst


def fit(name, target, weight, low, high, powers, bits, fixed=None):
    """Rounds coefficients to `bits`; `fixed` are (power, value) that are given."""
    low, high = mp.mpf(low), mp.mpf(high)
    known = list(fixed or [])
    left = list(powers)

    def rest(x):
        return target(x) - sum(c * x**p for p, c in known)

    while left:
        coefficients, worst = remez(rest, weight, low, high, left)
        power = left.pop()
        known.append((power, round_to(coefficients[-1], bits)))
    grid = [low + (high - low) * mp.mpf(i) / 3000 for i in range(3001)]
    error = max(abs(weight(x) * rest(x)) for x in grid)
    known.sort()
    print(f"{name}: weighted error {mp.nstr(error, 3)} = 2^{mp.nstr(mp.log(error, 2), 4)}")
    for power, value in reversed(known):
        print(f"    x^{power}: {float(value).hex()}  {mp.nstr(value, 17)}")


def one(_):
    return mp.mpf(1)


def series(f, terms=30):
    """f as its Taylor series around 0, for f with a removable singularity there."""
    coefficients = mp.taylor(f, 0, terms)
    return lambda x: mp.polyval(coefficients[::-1], x)


def split(name, value, parts, bits):
    """value = sum of parts, each of few bits so that products with small integers are exact."""
    out, rest = [], value
    for i in range(parts):
        piece = round_to(rest, bits if i < parts - 1 else F32)
        out.append(piece)
        rest -= piece
    print(name, [float(p).hex() for p in out])


def main():
    half_ln2 = mp.log(2) / 2
    split("ln 2 as floats", mp.log(2), 2, 15)
    print("log2(e) as float", float(round_to(1 / mp.log(2), F32)).hex())

    fit("exp(x), |x| <= ln2/2", mp.exp, lambda x: mp.exp(-x), -half_ln2 * 1.001, half_ln2 * 1.001,
        [2, 3, 4, 5, 6], F32, [(0, mp.mpf(1)), (1, mp.mpf(1))])

    def log_tail(f):
        if abs(f) < mp.mpf("1e-4"):
            return sum((-1) ** k * f**k / (k + 3) for k in range(12))
        return (mp.log1p(f) - f + f * f / 2) / f**3

    def log_weight(f):
        return f * f if abs(f) < mp.mpf("1e-3") else abs(f**3 / mp.log1p(f))

    fit("(log(1+f) - f + f^2/2) / f^3", log_tail, log_weight, mp.sqrt(mp.mpf(1) / 2) - 1,
        mp.sqrt(2) - 1, list(range(9)), F32)

    def erf_ratio(t):
        x = mp.sqrt(t)
        return mp.erf(x) / x if x > mp.mpf("1e-10") else 2 / mp.sqrt(mp.pi)

    fit("erf(x)/x - 1 in x^2, |x| <= 1", lambda t: erf_ratio(t) - 1, lambda t: 1 / erf_ratio(t),
        mp.mpf("1e-30"), mp.mpf("1.0"), list(range(6)), F32)
    fit("-log2(erfc(x)), 1 <= x <= 4", lambda x: -mp.log(mp.erfc(x), 2),
        lambda x: mp.erfc(x) / mp.erf(x), mp.mpf("0.999"), mp.mpf("4.01"), list(range(6)), F32)
    fit("2^x, |x| <= 1/2, degree 5", lambda x: mp.mpf(2) ** x, lambda x: mp.mpf(2) ** -x,
        mp.mpf("-0.501"), mp.mpf("0.501"), [1, 2, 3, 4, 5], F32, [(0, mp.mpf(1))])
    fit("2^x, |x| <= 1/2, degree 6", lambda x: mp.mpf(2) ** x, lambda x: mp.mpf(2) ** -x,
        mp.mpf("-0.501"), mp.mpf("0.501"), [1, 2, 3, 4, 5, 6], F32, [(0, mp.mpf(1))])
    split("2 log2(e) as floats", 2 / mp.log(2), 2, F32)

    def tanh_tail(t):
        if t < mp.mpf("1e-8"):
            return -mp.mpf(1) / 3 + 2 * t / 15
        x = mp.sqrt(t)
        return (mp.tanh(x) / x - 1) / t

    fit("(tanh(x) - x) / x^3 in x^2, |x| <= 0.65", tanh_tail,
        lambda t: t * mp.sqrt(t) / mp.tanh(mp.sqrt(t)) if t > 0 else mp.mpf("1e-10"),
        mp.mpf("1e-12"), mp.mpf("0.4225"), list(range(5)), F32)

    print("\nThrough double, relative error about 1e-12:")
    fit("2^x, |x| <= 1/2", lambda x: mp.mpf(2) ** x, lambda x: mp.mpf(2) ** -x,
        mp.mpf("-0.501"), mp.mpf("0.501"), list(range(1, 9)), F64, [(0, mp.mpf(1))])

    def log2_ratio(t):
        if t < mp.mpf("1e-12"):
            return (2 + 2 * t / 3) / mp.log(2)
        z = mp.sqrt(t)
        return mp.log((1 + z) / (1 - z), 2) / z

    fit("log2((1+z)/(1-z))/z in z^2", log2_ratio, lambda t: 1 / log2_ratio(t), mp.mpf(0),
        mp.mpf("0.02945"), list(range(6)), F64)

    def sin_ratio(t):
        x = mp.sqrt(t)
        return mp.sin(x) / x if x > mp.mpf("1e-12") else mp.mpf(1)

    quarter = (mp.pi / 4) ** 2 * mp.mpf("1.001")
    fit("sin(x)/x in x^2", sin_ratio, one, mp.mpf(0), quarter, list(range(6)), F64)
    fit("cos(x) in x^2", lambda t: mp.cos(mp.sqrt(t)), one, mp.mpf(0), quarter, list(range(6)), F64)

    def atan_ratio(t):
        x = mp.sqrt(t)
        return mp.atan(x) / x if x > mp.mpf("1e-12") else mp.mpf(1)

    fit("atan(x)/x in x^2, |x| <= tan(pi/8)", atan_ratio, one, mp.mpf(0), mp.mpf("0.17158"),
        list(range(8)), F64)

    two_over_pi = 2 / mp.pi
    mp.mp.dps = 120
    bits = int(mp.floor(2 / mp.pi * mp.mpf(2) ** 256))
    words = [(bits >> (224 - 32 * i)) & 0xFFFFFFFF for i in range(7)]
    print("2/pi, words of 32 bits from the point on:", [hex(w) for w in words])
    print("2/pi as double", float(two_over_pi).hex())


if __name__ == "__main__":
    main()
