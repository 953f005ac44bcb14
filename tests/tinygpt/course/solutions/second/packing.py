from tinygpt.finetuning.packing import OPEN


def packed(sizes, length):
    rows, room = [], {}
    for number in range(len(sizes)):
        best = None
        for row, left in room.items():
            if left >= sizes[number] and (best is None or left < room[best]):
                best = row
        if best is None:
            best = len(rows)
            rows += [[]]
            room[best] = length
        rows[best] += [number]
        room[best] -= sizes[number]
        room = {row: left for row, left in room.items() if left}
        if len(room) > OPEN:
            room.pop(sorted(room, key=room.get)[0])
    return rows
