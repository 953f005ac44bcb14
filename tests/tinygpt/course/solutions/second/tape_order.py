from minigrad.engine import Node


def _topological(roots):
    seen, front = set(roots), set(roots)
    while front:
        front = {p for node in front for p in node.parents if type(p) is Node} - seen
        seen |= front
    order = list(seen)
    order.sort(key=lambda node: node.number)
    return order
