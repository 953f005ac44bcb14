def mod97(iban):
    rest = 0
    for c in iban[4:] + iban[:4]:
        value = int(c) if c.isdigit() else ord(c) - ord("A") + 10
        rest = (rest * (10 if value < 10 else 100) + value) % 97
    return rest == 1
