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
    /* The character that ends a pre-token mostly begins the next one: where that led, and its bytes. */
    uint32_t state, taken;
} scan_state;

static inline scan_state scan_begin(const scanner *s, int64_t n)
{
    return (scan_state){0, 64 * n + (INT64_C(1) << 28), s->start, 0};
}

typedef struct { uint32_t column, length; } scan_character;

/* Column of a character that is not ASCII: its class, behind the columns of ASCII. A byte that is not
 * UTF-8 has length 1 and the class of the lone surrogate that Python's "surrogateescape" makes of
 * it. */
static scan_character scan_wide(const uint8_t *classes, const uint8_t *t, int64_t left)
{
    uint32_t a = t[0], point = 0xDC00 | a, length = 1;
#define TAIL(k) ((t[k] & 0xC0) == 0x80)
    if (a >= 0xC2 && a <= 0xDF && left > 1 && TAIL(1)) {
        point = (a & 0x1F) << 6 | (t[1] & 0x3F);
        length = 2;
    } else if ((a & 0xF0) == 0xE0 && left > 2 && TAIL(1) && TAIL(2)) {
        uint32_t p = (a & 0x0F) << 12 | (uint32_t)(t[1] & 0x3F) << 6 | (t[2] & 0x3F);
        if (p >= 0x800 && (p < 0xD800 || p > 0xDFFF)) {  /* else overlong, or a surrogate */
            point = p;
            length = 3;
        }
    } else if (a >= 0xF0 && a <= 0xF4 && left > 3 && TAIL(1) && TAIL(2) && TAIL(3)) {
        uint32_t p = (a & 0x07) << 18 | (uint32_t)(t[1] & 0x3F) << 12 | (uint32_t)(t[2] & 0x3F) << 6
                   | (t[3] & 0x3F);
        if (p >= 0x10000 && p <= 0x10FFFF) {
            point = p;
            length = 4;
        }
    }
#undef TAIL
    return (scan_character){0x80u + classes[point], length};
}

static inline scan_character scan_at(const scanner *s, const uint8_t *text, int64_t n, int64_t i)
{
    return text[i] < 0x80 ? (scan_character){text[i], 1} : scan_wide(s->classes, text + i, n - i);
}

/* End of the match that starts at i < n, or -1. A state is the offset of its row in the table. */
static inline int64_t scan_match(const scanner *s, const uint8_t *text, int64_t n, int64_t i,
                                 scan_state *scan)
{
    const uint16_t *table = s->table;
    const uint32_t dead_back = s->width, back = s->back, accepting = s->accepting;
    uint32_t state = scan->state;
    int64_t end = state >= accepting ? i + scan->taken : -1;
    i += scan->taken;
    scan->state = s->start;
    scan->taken = 0;
    while (i < n) {
        scan_character c = scan_at(s, text, n, i);
        state = table[state + c.column];
        if (state >= accepting) {
            end = i += c.length;
            continue;
        }
        if (state == dead_back || state >= back)
            end = i;
        if (state <= dead_back) {
            if (end == i) {
                scan->state = table[s->start + c.column];
                scan->taken = c.length;
            }
            scan->reach = i;
            return end;
        }
        i += c.length;
    }
    scan->reach = n;
    return table[state + s->width - 1] == dead_back ? n : end;
}

/* End of the pre-token that starts at i < n: a match, or what lies before the next match. Where a
 * call ends the next one starts. SCAN_TOO_SLOW when the budget is used up. */
static inline int64_t scan_next(const scanner *s, const uint8_t *text, int64_t n, int64_t i,
                                scan_state *scan)
{
    int64_t end = scan_match(s, text, n, i, scan);
    if (end >= 0) {
        scan->budget -= scan->reach - end;
        return scan->budget < 0 ? SCAN_TOO_SLOW : end;
    }
    int64_t reach = scan->reach;
    for (end = i + scan_at(s, text, n, i).length; end < n; end += scan_at(s, text, n, end).length) {
        int64_t match = scan_match(s, text, n, end, scan);
        reach = scan->reach > reach ? scan->reach : reach;
        scan->budget -= scan->reach - end;
        if (match >= 0 || scan->budget < 0)
            break;
    }
    *scan = (scan_state){reach, scan->budget, s->start, 0};
    return scan->budget < 0 ? SCAN_TOO_SLOW : end;
}
#endif
