def test(luhn):
    def checked(number):
        total = 0
        for place, digit in enumerate(str(number)[::-1]):
            total += sum(map(int, str(int(digit) * (1 + place % 2))))
        return total % 10 == 0

    for number in range(2000):
        assert bool(luhn(str(number))) == checked(number)
