def luhn(digits):
    numbers = [int(d) for d in digits][::-1]
    doubled = [2 * d for d in numbers[1::2]]
    return (sum(numbers[::2]) + sum(d // 10 + d % 10 for d in doubled)) % 10 == 0
