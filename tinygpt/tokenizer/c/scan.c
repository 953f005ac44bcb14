/* The cuts of a whole text, for tests and for who wants to see them. */
#include "scan.h"
#include "tokenizer.h"

/* Writes the end of every pre-token to `ends` (room for n of them); returns how many. */
int64_t scan_all(int pattern, const uint8_t *classes, const uint8_t *text, int64_t n,
                 int64_t *ends)
{
    int64_t count = 0, reach;
    for (int64_t i = 0; i < n; count++)
        ends[count] = i = scan_next(pattern, classes, text, n, i, &reach);
    return count;
}
