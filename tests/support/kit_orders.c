#include "tests/support/kit_orders.h"

#include <string.h>

char *kit_orders_cut(char **rest, const char *separators)
{
    char *word = *rest + strspn(*rest, separators);
    char *end = word + strcspn(word, separators);

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return *word ? word : NULL;
}
