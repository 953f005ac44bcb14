from tinygpt.finetuning.packing import OPEN


def packed(sizes, length):
    rows, left, still_open = [], [], []
    for number, needed in enumerate(sizes):
        fitting = [row for row in still_open if left[row] >= needed]
        if fitting:
            least = min(left[row] for row in fitting)
            row = next(row for row in fitting if left[row] == least)
        else:
            row = len(rows)
            rows.append([])
            left.append(length)
            still_open.append(row)
        rows[row].append(number)
        left[row] -= needed
        if not left[row]:
            still_open.remove(row)
        if len(still_open) > OPEN:
            still_open.remove(min(still_open, key=lambda one: left[one]))
    return rows
