#include "broker/keeper.h"

#include "broker/command.h"
#include "broker/log.h"

bool sb_keeper_is_ours(void)
{
    return false;
}

int sb_keeper_run(const struct sb_keeper_options *options)
{
    (void)options;
    sb_log(SB_LOG_ERROR, "no_keeper", "cause=\"this system has none\" cure=\"write keeper = no\"");
    return SB_EXIT_USAGE;
}
