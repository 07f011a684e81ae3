#include "broker/keeper_letter_win32.h"

#include <stdlib.h>

#include "broker/keeper.h"
#include "broker/keeper_link.h"

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static bool is_named;
static struct sb_keeper_letter *letter;

/* The variable is for this process alone. */
static BOOL CALLBACK open_letter(PINIT_ONCE unused, PVOID arg, PVOID *context)
{
    const char *number = getenv(SB_KEEPER_VARIABLE);

    (void)unused;
    (void)arg;
    (void)context;
    is_named = number != NULL;
    if (!is_named)
        return TRUE;
    HANDLE memory = (HANDLE)(uintptr_t)strtoull(number, NULL, 10);
    letter = MapViewOfFile(memory, FILE_MAP_READ, 0, 0, sizeof(*letter));
    if (letter && letter->size != sizeof(*letter)) {
        UnmapViewOfFile(letter);
        letter = NULL;
    }
    if (letter)
        CloseHandle(memory);
    _putenv_s(SB_KEEPER_VARIABLE, "");
    return TRUE;
}

const struct sb_keeper_letter *sb_keeper_letter(void)
{
    InitOnceExecuteOnce(&once, open_letter, NULL, NULL);
    return letter;
}

bool sb_keeper_is_ours(void)
{
    return sb_keeper_letter() || is_named;
}

int sb_keeper_exit_code(int code)
{
    return sb_keeper_letter() ? (int)(SB_KEEPER_DOCUMENTED | (unsigned)code) : code;
}

struct sb_keeper_letter *sb_keeper_letter_make(HANDLE *memory_out)
{
    SECURITY_ATTRIBUTES inheritable = { sizeof(inheritable), NULL, TRUE };
    HANDLE memory =
        CreateFileMappingW(INVALID_HANDLE_VALUE, &inheritable, PAGE_READWRITE, 0, sizeof(struct sb_keeper_letter), NULL);
    struct sb_keeper_letter *l = memory ? MapViewOfFile(memory, FILE_MAP_WRITE, 0, 0, sizeof(*l)) : NULL;

    if (!l) {
        if (memory)
            CloseHandle(memory);
        return NULL;
    }
    l->size = sizeof(*l);
    *memory_out = memory;
    return l;
}
