#include <stdatomic.h>

#include <winsock2.h>
#include <windows.h>

#include "tests/support/kit_orders.h"

#define LOOK_MS 5 /* a pipe cannot be waited for */

static atomic_bool shall_end;
static bool reads;

static BOOL WINAPI note(DWORD event)
{
    (void)event;
    atomic_store(&shall_end, true);
    return TRUE;
}

void kit_orders_begin(bool has_input)
{
    reads = has_input;
    SetConsoleCtrlHandler(note, TRUE);
}

/* False while nothing is there. */
static bool look(char *text_out, size_t room, enum kit_order *order_out)
{
    HANDLE input = GetStdHandle(STD_INPUT_HANDLE);
    DWORD there = 0, n = 0;

    if (PeekNamedPipe(input, NULL, 0, NULL, &there, NULL) && !there)
        return false;
    *order_out = KIT_ORDER_END;
    if (there && ReadFile(input, text_out, (DWORD)room - 1, &n, NULL) && n) {
        text_out[n] = '\0';
        *order_out = KIT_ORDER_LINES;
    }
    return true;
}

enum kit_order kit_orders_wait(char *text_out, size_t room, unsigned ms)
{
    enum kit_order order;

    for (unsigned waited = 0;; waited += LOOK_MS) {
        if (atomic_load(&shall_end))
            return KIT_ORDER_END;
        if (reads && look(text_out, room, &order))
            return order;
        if (waited >= ms)
            return KIT_ORDER_NONE;
        Sleep(LOOK_MS);
    }
}

int kit_own_pid(void)
{
    return (int)GetCurrentProcessId();
}
