/* Where does the pre-token that starts here end?  The patterns of pretokenize.py, by hand.
 *
 *     gpt2     's|'t|'re|'ve|'m|'ll|'d| ?L+| ?N+| ?O+|\s+(?!\S)|\s+
 *     cl100k   (?i:'s|...)|[^\r\nLN]?L+|N{1,3}| ?O+[\r\n]*|\s+(?![\s\S])|\s*[\r\n]+|\s+(?!\S)|\s+
 *     llama3   as cl100k without \s+(?![\s\S])
 *
 * L letter, N number, O neither of them nor white space. A regular expression tries alternatives
 * from left to right at each position; here the class of the first character (and of the second,
 * after a space or a sign) says which one will match. One pass, no backtracking: the two rules that
 * look ahead over white space inspect a run at most twice.
 */
#ifndef SCAN_H
#define SCAN_H
#include <stdint.h>

enum { OTHER, LETTER, NUMBER, SPACE, NEWLINE };  /* pretokenize.py's */
enum { GPT2, CL100K, LLAMA3 };

/* A pre-token is final, whatever text may follow, when the scanner saw nothing within this many
 * bytes of the end: contractions look three characters ahead, a character has up to four bytes. */
#define SCAN_MARGIN 16

/* Class and length of the character at text[i]; a byte that is not UTF-8 is OTHER, of length 1. */
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
            return OTHER;  /* overlong, or a surrogate */
        *length = 3;
    } else if (a >= 0xF0 && a <= 0xF4 && left > 3 && TAIL(1) && TAIL(2) && TAIL(3)) {
        point = (a & 0x07) << 18 | (uint32_t)(t[1] & 0x3F) << 12 | (uint32_t)(t[2] & 0x3F) << 6
              | (t[3] & 0x3F);
        if (point < 0x10000 || point > 0x10FFFF)
            return OTHER;
        *length = 4;
    } else {
        return OTHER;
    }
#undef TAIL
    return classes[point];
}

static inline int scan_class(const uint8_t *classes, const uint8_t *text, int64_t n, int64_t i,
                             int *length)
{
    if (text[i] < 0x80) {
        *length = 1;
        return classes[text[i]];
    }
    return scan_wide(classes, text, n, i, length);
}

/* End of the run of class `wanted` that starts at i. */
static inline int64_t scan_run(const uint8_t *classes, const uint8_t *text, int64_t n, int64_t i,
                               int wanted)
{
    int length;
    while (i < n && scan_class(classes, text, n, i, &length) == wanted)
        i += length;
    return i;
}

/* Length of a contraction's letters after the apostrophe at text[i - 1], or 0. */
static inline int scan_contraction(const uint8_t *text, int64_t n, int64_t i, int any_case)
{
    int fold = any_case ? 0x20 : 0;
    if (i >= n)
        return 0;
    int a = text[i] | (text[i] < 0x80 ? fold : 0), b = i + 1 < n ? text[i + 1] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 1;
    if (any_case && a == 0xC5 && b == 0xBF)
        return 2;  /* U+017F, the long s, which is an s when case does not matter */
    b |= b < 0x80 ? fold : 0;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

/* White space [i, end): which part of it is one pre-token? */
static inline int64_t scan_space(int pattern, const uint8_t *classes, const uint8_t *text,
                                 int64_t n, int64_t i, int64_t *reach)
{
    int64_t end = i, last = i, after_newline = 0;
    int length = 1;
    while (end < n) {
        int class = scan_class(classes, text, n, end, &length);
        if (class < SPACE)
            break;
        last = end;
        end += length;
        if (class == NEWLINE)
            after_newline = end;
    }
    *reach = end;
    if (pattern != GPT2 && after_newline && !(pattern == CL100K && end == n))
        return after_newline;                  /* \s*[\r\n]+ */
    return end == n || last == i ? end : last; /* \s+(?!\S) leaves one for the next word; or \s+ */
}

/* End of the pre-token that starts at i < n. *reach: how far the scanner had to look. */
static inline int64_t scan_next(int pattern, const uint8_t *classes, const uint8_t *text, int64_t n,
                                int64_t i, int64_t *reach)
{
    int length, next_length = 0, next = -1;
    int class = scan_class(classes, text, n, i, &length);
    int64_t end = i + length;
    if (class == LETTER)
        return *reach = scan_run(classes, text, n, end, LETTER);
    if (text[i] == '\'') {
        int letters = scan_contraction(text, n, end, pattern != GPT2);
        if (letters)
            return *reach = end + letters;
    }
    if (end < n)
        next = scan_class(classes, text, n, end, &next_length);
    if (next == LETTER && class != NUMBER && (pattern == GPT2 ? text[i] == ' ' : class != NEWLINE))
        return *reach = scan_run(classes, text, n, end + next_length, LETTER);
    if (pattern == GPT2) {
        if (text[i] == ' ' && (next == NUMBER || next == OTHER))
            return *reach = scan_run(classes, text, n, end + next_length, next);
        if (class < SPACE)
            return *reach = scan_run(classes, text, n, end, class);
        return scan_space(pattern, classes, text, n, i, reach);
    }
    if (class == NUMBER) {
        for (int digits = 1; digits < 3 && next == NUMBER; digits++) {
            end += next_length;
            next = end < n ? scan_class(classes, text, n, end, &next_length) : -1;
        }
        return *reach = end;
    }
    if (class == OTHER || (text[i] == ' ' && next == OTHER)) {
        end = scan_run(classes, text, n, end, OTHER);
        while (end < n && (text[end] == '\r' || text[end] == '\n'))
            end++;
        return *reach = end;
    }
    return scan_space(pattern, classes, text, n, i, reach);
}
#endif
