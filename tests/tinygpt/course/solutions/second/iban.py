def mod97(iban):
    digits = "".join(f"{int(c, 36)}" for c in iban)
    front = sum(1 + c.isalpha() for c in iban[:4])
    return int(digits[front:] + digits[:front]) % 97 == 1
