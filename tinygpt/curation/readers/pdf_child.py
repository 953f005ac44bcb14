"""The process that reads one PDF: `python -I pdf_child.py FILE MEGABYTES SECONDS`.

Writes a line of JSON for each page as soon as it is read, {"page": text}, or {"error": what}. It
imports nothing of ours: what it may use is counted from here on.
"""

import json
import sys


def limit(megabytes: int, seconds: int) -> None:
    """Let the system refuse more memory, and end what computes longer."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is all there is
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def say(**row: str) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main(path: str, megabytes: int, seconds: int) -> None:
    import pypdf

    limit(megabytes, seconds)
    try:
        for page in pypdf.PdfReader(path).pages:
            say(page=page.extract_text())
    except MemoryError:
        say(error=f"takes more than {megabytes} MB")
    except Exception as error:  # whatever a library says of a file that anybody wrote
        say(error=f"{type(error).__name__}: {str(error)[:200]}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
