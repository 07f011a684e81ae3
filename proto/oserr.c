#include "proto/oserr.h"

#include "proto/error.h"

sockbroker_status sb_oserr_set(struct sockbroker_error *error, int os_code, const char *what, const char *cure)
{
    char text[128];

    return sb_error_set(error, sb_oserr_status(os_code), os_code, "%s: %s%s%s", what,
                        sb_oserr_text(os_code, text, sizeof(text)), cure ? ". " : "", cure ? cure : "");
}
