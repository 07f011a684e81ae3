#include "broker/log_sink.h"

#include <winsock2.h>

#include <stdio.h>
#include <string.h>

#include "broker/log.h"
#include "broker/service_win32.h"
#include "proto/utf_win32.h"

/* A service has no stderr; its lines go to the event log, which has a level and a time of its own as the journal has. */
bool sb_log_sink_is_journal(void)
{
    return sb_service_is_run();
}

#define EVENT_LEVEL_MAX SB_LOG_NOTICE /* what each worker does would flood it */

static WORD event_type(int level)
{
    return level <= SB_LOG_ERROR     ? EVENTLOG_ERROR_TYPE
           : level == SB_LOG_WARNING ? EVENTLOG_WARNING_TYPE
                                     : EVENTLOG_INFORMATION_TYPE;
}

/* "<5>event=ready dir=..." */
static bool report(const char *line, size_t len)
{
    char text[SB_LOG_LINE_MAX + 1];
    wchar_t wide[SB_LOG_LINE_MAX + 1];
    int level = SB_LOG_NOTICE;

    snprintf(text, sizeof(text), "%.*s", (int)len, line);
    if (text[0] == '<' && text[2] == '>')
        level = text[1] - '0';
    if (level > EVENT_LEVEL_MAX)
        return true;
    return sb_utf_widen(text[0] == '<' ? text + 3 : text, wide, SB_LOG_LINE_MAX + 1) &&
           sb_service_report(event_type(level), wide);
}

/* Binary, so that a line ends as it does on other systems. */
static bool write_all(HANDLE to, const char *line, size_t len)
{
    while (len > 0) {
        DWORD n = 0;

        if (!WriteFile(to, line, (DWORD)len, &n, NULL) || !n)
            return false;
        line += n;
        len -= n;
    }
    return true;
}

bool sb_log_sink_write(const char *line, size_t len)
{
    HANDLE to = GetStdHandle(STD_ERROR_HANDLE);

    if (sb_service_is_run())
        return report(line, len);
    return to && to != INVALID_HANDLE_VALUE && write_all(to, line, len);
}

void sb_log_sink_stamp(char out[SB_LOG_STAMP_MAX])
{
    SYSTEMTIME t;

    GetSystemTime(&t);
    snprintf(out, SB_LOG_STAMP_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", t.wYear, t.wMonth, t.wDay, t.wHour, t.wMinute,
             t.wSecond, t.wMilliseconds);
}

void sb_log_sink_thread_begin(void)
{
}
