/* request.h: as much of HTTP/1.1 (RFC 9112) as it takes to know where a request ends. Does no I/O. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_HEAD_MAX 8192

struct request {
    size_t head_len;   /* request line, header fields and the empty line */
    uint64_t body_len; /* bytes that follow the head */
    bool is_head;      /* HEAD: the answer has no body */
    bool is_http_1_0;
    bool keep_alive;       /* the client wants another request on this connection */
    bool expects_continue; /* it sends the body after "100 Continue" only */
};

/* Reads the head of the request that `bytes` begin with.
 * 200: *request_out is filled. 0: not all there yet. Else the status to answer with before closing: 400, 413, 431, 501, 505;
 * it is not known then where the request ends, so nothing more can be read. */
int request_parse(const char *bytes, size_t n, struct request *request_out);

#endif
