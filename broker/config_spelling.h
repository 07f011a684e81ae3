/* config_spelling.h: how far a mistyped key is from a real one, for config_*.c only. */
#ifndef SB_BROKER_CONFIG_SPELLING_H
#define SB_BROKER_CONFIG_SPELLING_H

#include <stddef.h>

/* How many letters to add, drop or change (Levenshtein's distance). Words of more than 32 letters are far from all:
 * then the answer is SIZE_MAX. */
size_t sb_letters_apart(const char *a, const char *b);

#endif
