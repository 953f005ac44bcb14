def test(luhn):
    right = {"79927398713", "4111111111111111", "0", "18", "91", "59", "67", "109"}
    for number in right:
        assert luhn(number), number
        for other in "0123456789":
            assert luhn(number[:-1] + other) == (other == number[-1])
