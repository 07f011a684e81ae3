/* log.h: one line for each event, key=value, to stderr; never blocks the caller.
 *
 * A thread writes; when the reader of stderr stops reading, lines are dropped and counted. Each event name is rate limited
 * (20 lines in any second; then a line "event=... suppressed=N" once it is quiet again, or every minute). With
 * JOURNAL_STREAM set to this stderr (systemd), each line begins with its priority "<6>", else with a time stamp in UTC.
 */
#ifndef SB_BROKER_LOG_H
#define SB_BROKER_LOG_H

#include <stdint.h>

#include "broker/config.h"
#include "proto/printf.h"
#include "sockbroker/status.h"

#define SB_LOG_LINE_MAX 512 /* longer lines are cut */

/* Starts the writer. Until then, after close, and when no thread can be had (NO_MEMORY, SYSTEM), lines are written
 * directly. Open and close belong to the main thread; everything else may be called from any. */
sockbroker_status sb_log_open(enum sb_log_level level);
void sb_log_set_level(enum sb_log_level level);

/* Waits at most 200 ms for the lines that are still queued. When the reader of stderr is stuck, the writer's thread is
 * left behind in its write() (the end of the process ends it) and all further lines are dropped. */
void sb_log_close(void);

/* event is a word, "session_died"; format gives the rest, "worker=%s pid=%u". Foreign text goes through sb_quote first.
 * The line: "2026-01-31T23:59:59.999Z level=info event=session_died worker=web1 pid=12". */
void sb_log(enum sb_log_level level, const char *event, const char *format, ...) SB_PRINTF(3, 4);

/* Lines that never reached stderr: the queue was full, or the write failed. Suppressed ones do not count. */
uint64_t sb_log_lines_dropped(void);

#endif
