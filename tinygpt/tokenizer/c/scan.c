/* The cuts of a whole text, for tests and for who wants to see them. */
#include "scan.h"
#include "tokenizer.h"

/* Writes the end of every pre-token to `ends` (room for n of them); returns how many, or
 * SCAN_TOO_SLOW. */
int64_t scan_all(const scanner *s, const uint8_t *text, int64_t n, int64_t *ends)
{
    scan_state scan = scan_begin(s, n);
    int64_t count = 0;
    for (int64_t i = 0; i < n; count++) {
        i = scan_next(s, text, n, i, &scan);
        if (i < 0)
            return i;
        ends[count] = i;
    }
    return count;
}
