#include "broker/config_spelling.h"

#include <stdint.h>
#include <string.h>

#define LETTERS_MAX 32

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* From the distances between a prefix of a and each prefix of b, to those for that prefix with `letter` added. */
static void next_row(size_t *row, char letter, const char *b, size_t b_len)
{
    size_t diagonal = row[0];

    row[0]++;
    for (size_t j = 0; j < b_len; j++) {
        size_t above = row[j + 1];

        row[j + 1] = least(above + 1, row[j] + 1, diagonal + (letter != b[j]));
        diagonal = above;
    }
}

size_t sb_letters_apart(const char *a, const char *b)
{
    size_t row[LETTERS_MAX + 1], a_len = strlen(a), b_len = strlen(b);

    if (a_len > LETTERS_MAX || b_len > LETTERS_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= b_len; i++)
        row[i] = i;
    for (size_t i = 0; i < a_len; i++)
        next_row(row, a[i], b, b_len);
    return row[b_len];
}
