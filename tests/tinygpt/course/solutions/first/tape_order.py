from minigrad.engine import Node


def _topological(roots):
    found = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node) and id(node) not in found:
            found[id(node)] = node
            waiting.extend(node.parents)
    return sorted(found.values(), key=lambda node: node.number)
