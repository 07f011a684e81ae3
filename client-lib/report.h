/* report.h: what a worker tells the broker about its leases: by the pair, or with carrier = message by nng.
 */
#ifndef SB_CLIENT_REPORT_H
#define SB_CLIENT_REPORT_H

#include "client-lib/worker_state.h"

/* One verdict, now; what is over and waits for company rides along. An ACK counts as open. */
void sb_report_result(struct sockbroker_worker *w, struct sb_link *link, uint64_t lease_id, enum sb_verdict verdict);

/* Somebody reads. */
void sb_report_probe(struct sockbroker_worker *w, const struct sb_link *link, uint64_t number);

/* carrier = message: asks the broker to confirm an ack. kept_out: the connection is ours, also when its broker has gone
 * meanwhile, for then nobody else knows of it. */
void sb_report_settle(struct sockbroker_worker *w, const struct sb_link *link, uint64_t lease_id, bool *kept_out);

/* Settles, again and again until the broker has answered: it remembers its answers. Results beyond the first are told once.
 * OK: kept_out says what becomes of the first. Anything else: the session has ended, or the worker was stopped. */
sockbroker_status sb_report_insist(struct sockbroker_worker *w, const struct sb_link *link, struct sb_report *report,
                                   bool *kept_out);

/* A connection is over: told at once, or within finish_within_ms. */
void sb_report_finished(struct sockbroker_worker *w, uint64_t lease_id);

/* What still waits for company goes now. */
void sb_report_flush(struct sockbroker_worker *w);

#endif
