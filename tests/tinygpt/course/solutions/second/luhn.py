DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits):
    rest = 0
    for place in range(1, len(digits) + 1):
        digit = int(digits[-place])
        rest = (rest + (digit if place % 2 else DOUBLED[digit])) % 10
    return not rest
