def turns(count, warm, task):
    tasks, back = [], 0
    for k in range(count):
        tasks.append(task(True, k))
        if k >= warm:
            tasks.append(task(False, back))
            back += 1
    while back < count:
        tasks.append(task(False, back))
        back += 1
    return tasks
