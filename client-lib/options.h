/* options.h: checks sockbroker_worker_options and fills in what was left out. */
#ifndef SB_CLIENT_OPTIONS_H
#define SB_CLIENT_OPTIONS_H

#include "proto/rundir.h"
#include "proto/wire.h"
#include "sockbroker/worker.h"

/* OK or INVALID, with the option's name in the error. */
sockbroker_status sb_options_read(const struct sockbroker_worker_options *options, struct sb_attach *attach_out,
                                  char dir_out[SB_RUNDIR_MAX], int *attach_timeout_ms_out, struct sockbroker_error *error_out);

#endif
