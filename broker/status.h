/* status.h: fills a page of StatusPage from the broker's objects. */
#ifndef SB_BROKER_STATUS_H
#define SB_BROKER_STATUS_H

#include "broker/broker.h"

void sb_status_fill(struct sb_broker *b, const struct sb_status_request *request, struct sb_status_page *page_out);

#endif
