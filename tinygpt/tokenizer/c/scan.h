/* Where does the pre-token that starts here end?  A pattern's table, walked; see ../automaton.py.
 *
 * For each character one column (ASCII has its own, the others share one for each class) and one
 * next state. States are numbered so that two comparisons say what a state means: dead ones first,
 * then those that only go on, then those where a match ended one character back, then those where
 * one ends here. The last match seen before the table dies is the pre-token.
 *
 * The walk reads past the match that it finds: a character for most, a run of white space for
 * \s+(?!\S). A pattern can be written so that it always reads to the end of the text and finds a
 * short match, and n pre-tokens would cost n * n; `budget` bounds what is read in vain.
 */
#ifndef SCAN_H
#define SCAN_H
#include <stdint.h>

#include "tokenizer.h"

enum { DEAD, DEAD_BACK };  /* automaton.py's */

/* A pre-token is final, whatever text may follow, when the scanner saw nothing within this many
 * bytes of the end: a character may still lack its last ones. */
#define SCAN_MARGIN 4
#define SCAN_TOO_SLOW (-3)

typedef struct {
    int64_t reach;   /* how far the scanner had to look */
    int64_t budget;  /* bytes that may still be read in vain, over all calls */
} scan_state;

static inline scan_state scan_begin(int64_t n)
{
    return (scan_state){0, 64 * n + (INT64_C(1) << 28)};
}

/* Column and length of the character at text[i]: its class, behind the columns of ASCII. A byte
 * that is not UTF-8 has length 1 and the class of the lone surrogate that Python's
 * "surrogateescape" makes of it. */
static inline int scan_wide(const uint8_t *classes, const uint8_t *text, int64_t n, int64_t i,
                            int *length)
{
    uint32_t a = text[i], point;
    const uint8_t *t = text + i;
    int64_t left = n - i;
#define TAIL(k) ((t[k] & 0xC0) == 0x80)
    *length = 1;
    if (a >= 0xC2 && a <= 0xDF && left > 1 && TAIL(1)) {
        point = (a & 0x1F) << 6 | (t[1] & 0x3F);
        *length = 2;
    } else if ((a & 0xF0) == 0xE0 && left > 2 && TAIL(1) && TAIL(2)) {
        point = (a & 0x0F) << 12 | (uint32_t)(t[1] & 0x3F) << 6 | (t[2] & 0x3F);
        if (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))
            return 0x80 + classes[0xDC00 | a];  /* overlong, or a surrogate */
        *length = 3;
    } else if (a >= 0xF0 && a <= 0xF4 && left > 3 && TAIL(1) && TAIL(2) && TAIL(3)) {
        point = (a & 0x07) << 18 | (uint32_t)(t[1] & 0x3F) << 12 | (uint32_t)(t[2] & 0x3F) << 6
              | (t[3] & 0x3F);
        if (point < 0x10000 || point > 0x10FFFF)
            return 0x80 + classes[0xDC00 | a];
        *length = 4;
    } else {
        return 0x80 + classes[0xDC00 | a];
    }
#undef TAIL
    return 0x80 + classes[point];
}

static inline int scan_column(const uint8_t *classes, const uint8_t *text, int64_t n, int64_t i,
                              int *length)
{
    *length = 1;
    return text[i] < 0x80 ? text[i] : scan_wide(classes, text, n, i, length);
}

/* End of the match that starts at i < n, or -1. A state is the offset of its row in the table.
 * *reach: how far it had to look. */
static inline int64_t scan_match(const scanner *s, const uint8_t *text, int64_t n, int64_t i,
                                 int64_t *reach)
{
    const uint16_t *table = s->table;
    uint32_t state = s->start, dead_back = s->width, back = s->back, accepting = s->accepting;
    int64_t end = -1;
    int length;
    while (i < n) {
        state = table[state + scan_column(s->classes, text, n, i, &length)];
        if (state >= accepting) {
            end = i += length;
            continue;
        }
        if (state == dead_back || state >= back)
            end = i;
        if (state <= dead_back)
            break;
        i += length;
    }
    if (i == n && table[state + s->width - 1] == dead_back)
        end = n;
    *reach = i;
    return end;
}

/* End of the pre-token that starts at i < n: a match, or what lies before the next match.
 * SCAN_TOO_SLOW when the budget is used up. */
static inline int64_t scan_next(const scanner *s, const uint8_t *text, int64_t n, int64_t i,
                                scan_state *scan)
{
    int64_t end = scan_match(s, text, n, i, &scan->reach);
    if (end >= 0) {
        scan->budget -= scan->reach - end;
    } else {
        int64_t reach = scan->reach, match = -1;
        for (end = i; match < 0 && scan->budget >= 0;) {
            int length;
            scan->budget -= reach - end;
            scan_column(s->classes, text, n, end, &length);
            end += length;
            if (end == n)
                break;
            match = scan_match(s, text, n, end, &reach);
            if (reach > scan->reach)
                scan->reach = reach;
        }
    }
    return scan->budget < 0 ? SCAN_TOO_SLOW : end;
}
#endif
