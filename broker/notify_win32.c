#include "broker/notify.h"

#include "broker/log.h"
#include "broker/service_win32.h"

void sb_notify_ready(const char *status_line)
{
    (void)status_line;
    sb_service_tell(SB_SERVICE_RUNNING);
}

/* The service manager knows the process that it has started. */
void sb_notify_ready_as(unsigned pid)
{
    (void)pid;
    sb_notify_ready("");
}

void sb_notify_reloading(void)
{
}

void sb_notify_stopping(void)
{
    sb_service_tell(SB_SERVICE_STOPPING);
}

void sb_notify_failed(const char *why)
{
    if (sb_service_is_run()) /* else somebody reads stderr */
        sb_log(SB_LOG_ERROR, "failed", "cause=\"%s\"", why);
}

bool sb_notify_open(sockbroker_socket *sock_out)
{
    (void)sock_out;
    return false;
}
