/* signals_win32.h: the events by which signals_win32.c is told something. */
#ifndef SB_BROKER_SIGNALS_WIN32_H
#define SB_BROKER_SIGNALS_WIN32_H

#include <stdbool.h>

#include "broker/signals.h"

#define SB_SIGNAL_NAME_MAX 64

/* The name of the event of the broker with that process id. Returns name_out. */
const wchar_t *sb_signal_event_name(DWORD pid, enum sb_signal what, wchar_t name_out[SB_SIGNAL_NAME_MAX]);

/* Says it to the broker of that process id. False: there is none, or it is not ours to tell. */
bool sb_signal_send(DWORD pid, enum sb_signal what);

#endif
