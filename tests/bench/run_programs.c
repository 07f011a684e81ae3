/* Which programs are there, and which candidates were chosen. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* Servers are often in directories that only root's PATH names. */
#define MORE_DIRS "/usr/sbin:/usr/local/sbin"

static bool is_executable(const char *dir, size_t dir_len, const char *program, char path_out[MAX_PATH])
{
    int n = snprintf(path_out, MAX_PATH, "%.*s/%s", (int)dir_len, dir, program);

    return n > 0 && n < MAX_PATH && access(path_out, X_OK) == 0;
}

static bool find_in(const char *dirs, const char *program, char path_out[MAX_PATH])
{
    while (dirs && *dirs) {
        size_t len = strcspn(dirs, ":");

        if (is_executable(dirs, len, program, path_out))
            return true;
        dirs += len + (dirs[len] == ':');
    }
    return false;
}

bool program_find(const char *program, char path_out[MAX_PATH])
{
    return find_in(getenv("PATH"), program, path_out) || find_in(MORE_DIRS, program, path_out);
}

bool program_is_built(const char *bin_dir, const char *program)
{
    char path[MAX_PATH];

    return is_executable(bin_dir, strlen(bin_dir), program, path);
}

bool is_chosen(const char *only, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = only; at && (at = strstr(at, name)); at += len)
        if ((at == only || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return !only;
}
