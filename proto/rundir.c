#include "proto/rundir.h"

#include <stdio.h>

const char *sb_rundir_path(const char *dir, const char *file, char path_out[SB_PATH_MAX])
{
    snprintf(path_out, SB_PATH_MAX, "%.*s/%.8s", SB_RUNDIR_MAX - 1, dir, file);
    return path_out;
}
