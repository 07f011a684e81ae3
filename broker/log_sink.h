/* log_sink.h: where log lines end up, for log.c only. */
#ifndef SB_BROKER_LOG_SINK_H
#define SB_BROKER_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

#define SB_LOG_STAMP_MAX 32

/* Is stderr the journal's socket, so that it reads "<6>" and adds the time? */
bool sb_log_sink_is_journal(void);

/* All of it, waiting for the reader of stderr for as long as it takes. False: the line is lost (disk full, reader gone). */
bool sb_log_sink_write(const char *line, size_t len);

/* "2026-01-31T23:59:59.999Z". The wall clock is for the reader's eyes only. */
void sb_log_sink_stamp(char out[SB_LOG_STAMP_MAX]);

/* Called first in the writer's thread: signals are for the other threads, and a gone reader is an error, not SIGPIPE. */
void sb_log_sink_thread_begin(void);

#endif
